package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// sections are the parts of a payload, as section 6 orders them.
type sections struct {
	name     string
	headers  []string // alternating keys and values
	trailers []string
	text     string   // of DETAIL
	details  []string // alternating types and values
	total    int
	message  []byte
}

// cursor reads a payload.
type cursor struct {
	b   []byte
	err error
}

func (c *cursor) take(n int, what string) []byte {
	if c.err == nil && n > len(c.b) {
		c.err = fmt.Errorf("%s reaches past its end", what)
	}
	if c.err != nil {
		return nil
	}
	b := c.b[:n]
	c.b = c.b[n:]
	return b
}

func (c *cursor) lengthed(what string) []byte {
	n, w := binary.Uvarint(c.b)
	if c.err == nil && (w <= 0 || w > 4 || w > 1 && c.b[w-1] == 0) {
		c.err = fmt.Errorf("%s has a length that is no uvarint of the shortest form", what)
	}
	if c.err != nil {
		return nil
	}
	c.b = c.b[w:]
	return c.take(int(n), what)
}

func (c *cursor) metadata(what string) []string {
	in := cursor{b: c.lengthed(what), err: c.err}
	var kv []string
	for in.err == nil && len(in.b) > 0 {
		kv = append(kv, string(in.lengthed("key")), string(in.lengthed("value")))
	}
	c.err = in.err
	return kv
}

// parse takes the payload of f apart and judges what its bytes show.
func (f frame) parse() (sections, error) {
	var s sections
	c := cursor{b: f.payload}
	if f.has(fRoute) && f.typ == tOpen {
		c.take(8, "ROUTE")
	}
	if f.has(fName) && f.typ == tOpen {
		s.name = string(c.lengthed("NAME"))
		if c.err == nil && (s.name == "" || len(s.name) > 512 || s.name[0] == '/') {
			c.err = fmt.Errorf("NAME is %q", s.name)
		}
		for _, r := range []byte(s.name) {
			if r < 0x21 || r > 0x7E {
				c.err = fmt.Errorf("NAME is %q", s.name)
			}
		}
	}
	if f.has(fHeaders) {
		s.headers = c.metadata("HEADERS")
	}
	if f.has(fTrailers) && f.typ == tClose {
		s.trailers = c.metadata("TRAILERS")
	}
	if f.has(fDetail) && f.typ == tClose {
		s.text, s.details = c.detail()
	}
	if f.has(fTotal) {
		if b := c.take(4, "TOTAL"); b != nil {
			s.total = int(binary.LittleEndian.Uint32(b))
		}
	}
	s.message = c.b
	if c.err == nil && !f.has(fMessage) && len(c.b) > 0 {
		c.err = fmt.Errorf("%d bytes stand behind the sections of a frame without MESSAGE", len(c.b))
	}
	return s, errors.Join(c.err, judgeMetadata(s.headers), judgeMetadata(s.trailers))
}

func (c *cursor) detail() (string, []string) {
	in := cursor{b: c.lengthed("DETAIL"), err: c.err}
	size := len(in.b)
	message := string(in.lengthed("message"))
	var details []string
	for in.err == nil && len(in.b) > 0 {
		t := string(in.lengthed("type"))
		details = append(details, t, string(in.lengthed("value")))
		if in.err == nil && t == "" {
			in.err = errors.New("a detail has no type")
		}
	}
	if in.err == nil && (size > 16384 || len(details) > 128 || !utf8.ValidString(message)) {
		in.err = fmt.Errorf("DETAIL of %d bytes, %d details, message valid UTF-8: %v", size, len(details)/2, utf8.ValidString(message))
	}
	c.err = in.err
	return message, details
}

// judgeMetadata judges alternating keys and values by section 12.
func judgeMetadata(kv []string) error {
	size := 0
	for i := 0; i < len(kv); i += 2 {
		key, value := kv[i], kv[i+1]
		size += len(lengthed([]byte(key))) + len(lengthed([]byte(value)))
		if key == "" || strings.Trim(key, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != "" {
			return fmt.Errorf("metadata key %q", key)
		}
		if !strings.HasSuffix(key, "-bin") && strings.ContainsAny(value, "\r\n\x00") {
			return fmt.Errorf("metadata value of key %q", key)
		}
	}
	if len(kv) > 128 || size > 16384 {
		return fmt.Errorf("metadata of %d entries, %d bytes", len(kv)/2, size)
	}
	return nil
}
