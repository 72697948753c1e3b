package main

import (
	"encoding/binary"
	"strings"
)

// service is the prefix of the test service's methods.
const service = "spec.v1.Spec/"

// path is the full name of a method: one of the test service's unless it says
// another service.
func path(method string) string {
	if strings.Contains(method, "/") {
		return method
	}
	return service + method
}

func uvarint(n int) []byte { return binary.AppendUvarint(nil, uint64(n)) }

func join(parts ...[]byte) []byte {
	var b []byte
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// lengthed is b with its length before it.
func lengthed(b []byte) []byte { return join(uvarint(len(b)), b) }

// block is a HEADERS or TRAILERS section with alternating keys and values.
func block(kv ...string) []byte {
	var b []byte
	for _, s := range kv {
		b = append(b, lengthed([]byte(s))...)
	}
	return lengthed(b)
}

func total[N int | uint32](n N) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(n)) }

// text is a message of the test service: field 1, length-delimited, left out
// if it is empty.
func text(s string) []byte {
	if s == "" {
		return nil
	}
	return join([]byte{0x0a}, lengthed([]byte(s)))
}

// untext is the inverse of text.
func untext(msg []byte) (string, bool) {
	if len(msg) == 0 {
		return "", true
	}
	n, w := binary.Uvarint(msg[1:])
	if msg[0] != 0x0a || w <= 0 || uint64(len(msg)-1-w) != n {
		return "", false
	}
	return string(msg[1+w:]), true
}

// settingsFrame is SETTINGS with alternating ids and values.
func settingsFrame(kv ...uint32) frame {
	var b []byte
	for i := 0; i < len(kv); i += 2 {
		b = binary.LittleEndian.AppendUint32(b, kv[i])
		b = binary.LittleEndian.AppendUint32(b, kv[i+1])
	}
	return frame{typ: tSettings, payload: b}
}

// open is OPEN of a method by its name, which is not given a number.
func open(id uint64, flags uint16, method string, sections ...[]byte) frame {
	return frame{typ: tOpen, id: id, flags: flags | fName, payload: join(lengthed([]byte(path(method))), join(sections...))}
}

// openID is OPEN of a method by its number.
func openID(id uint64, number uint16, flags uint16, sections ...[]byte) frame {
	return frame{typ: tOpen, id: id, code: number, flags: flags, payload: join(sections...)}
}

// unary is OPEN with the whole request.
func unary(id uint64, method, request string) frame {
	return open(id, fHalfClose|fMessage, method, text(request))
}

// unaryMeta is unary with metadata.
func unaryMeta(id uint64, method, request string, kv ...string) frame {
	return open(id, fHalfClose|fMessage|fHeaders, method, block(kv...), text(request))
}

func data(id uint64, flags uint16, sections ...[]byte) frame {
	return frame{typ: tData, id: id, flags: flags, payload: join(sections...)}
}

// message is DATA with a whole message of a stream.
func message(id uint64, s string) frame {
	return data(id, fMessage|fCredited, text(s))
}

func halfClose(id uint64) frame { return data(id, fHalfClose) }

// closing is CLOSE with a status.
func closing(id uint64, status uint16, flags uint16, sections ...[]byte) frame {
	return frame{typ: tClose, id: id, code: status, flags: flags, payload: join(sections...)}
}

// answer is CLOSE with a whole answer.
func answer(id uint64, s string) frame { return closing(id, sOK, fMessage, text(s)) }

// detail is a DETAIL section with alternating types and values.
func detail(message string, typesValues ...string) []byte {
	b := lengthed([]byte(message))
	for _, s := range typesValues {
		b = append(b, lengthed([]byte(s))...)
	}
	return lengthed(b)
}

func cancel(id uint64, status uint16) frame {
	return frame{typ: tCancel, id: id, code: status}
}

func credit(id uint64, n uint32) frame { return frame{typ: tCredit, id: id, arg: n} }

func ping(opaque string) frame {
	return frame{typ: tPing, payload: []byte((opaque + "........")[:8])}
}

func goAway(last uint64, code uint16, reason string) frame {
	return frame{typ: tGoAway, id: last, code: code, payload: []byte(reason)}
}

// ignorable is a frame of an unknown type that says that it may be skipped.
func ignorable(n int) frame { return frame{typ: 0x9A, payload: make([]byte, n)} }

func repeat(n int, w ...wire) raw {
	var one []byte
	for _, w := range w {
		one = append(one, w.wire()...)
	}
	return []byte(strings.Repeat(string(one), n))
}
