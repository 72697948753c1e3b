package transport

import (
	"encoding/binary"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/frame"
	"github.com/rpcx-go/rpcx/runtime/metadata"
)

// How a fuzzed program becomes what is sent.
const (
	asIs     = iota // as it is
	mended          // cut into frames whose check bytes and lengths fit
	scripted        // a script, as the program chooses
	modes
)

// mend returns program cut into frames whose check bytes are right and whose
// lengths fit, so that mutations reach what lies behind those checks.
func mend(program []byte) []byte {
	var out []byte
	for len(program) >= frame.HeaderSize {
		h := append([]byte(nil), program[:frame.HeaderSize]...)
		program = program[frame.HeaderSize:]
		n := min(int(binary.LittleEndian.Uint16(h)), len(program))
		h[0], h[1], h[2], h[22], h[23] = byte(n), byte(n>>8), 0, frame.Version, 0
		var x byte
		for _, b := range h {
			x ^= b
		}
		h[23] = x
		out = append(append(out, h...), program[:n]...)
		program = program[n:]
	}
	return out
}

// script has the program choose frames, five bytes each: type, stream, flags, a
// number, and how many of the next bytes are its message. What bytes below odd
// choose keeps the rules as far as a script knows them; the others break some.
type script struct {
	types   []frame.Type
	methods []*call.Method // to be called; none: a server's script
	streams []*scriptStream
	defined []uint16 // id of each method, 0: not yet
	count   uint16
	out     []byte
}

// scriptStream is what a script knows of a stream.
type scriptStream struct {
	id   frame.StreamID
	send bool // messages are credited
	left int  // bytes missing of a message, plus 1; 0: between messages
}

const odd = 244

// The types that scripts choose from, the common ones several times.
var (
	clientTypes = []frame.Type{
		frame.TypeOpen, frame.TypeData, frame.TypeOpen, frame.TypeData, frame.TypeOpen, frame.TypeData, frame.TypeData, frame.TypeData,
		frame.TypePing, frame.TypeCredit, frame.TypeCancel, frame.TypeGoAway, 0x90,
	}
	serverTypes = []frame.Type{
		frame.TypeData, frame.TypeClose, frame.TypeData, frame.TypeData, frame.TypeData, frame.TypeClose,
		frame.TypePing, frame.TypeCredit, frame.TypeGoAway, 0x90,
	}
	oddTypes = []frame.Type{frame.TypeSettings, 0x20, frame.TypeOpen, frame.TypeClose, frame.TypeCancel, frame.TypeData}
)

// clientScript writes the script of a client that calls the methods.
func clientScript(program []byte, methods []*call.Method) []byte {
	s := &script{types: clientTypes, methods: methods, defined: make([]uint16, len(methods))}
	return s.write(program)
}

// serverScript writes the script of a server that was asked for the methods, on
// streams 1, 3 and so on.
func serverScript(program []byte, asked []*call.Method) []byte {
	s := &script{types: serverTypes}
	for i, m := range asked {
		s.streams = append(s.streams, &scriptStream{id: frame.StreamID(2*i + 1), send: m.Kind().CalleeStreams()})
	}
	return s.write(program)
}

func (s *script) write(program []byte) []byte {
	for len(program) >= 5 && len(s.out) < mostSent {
		op, id, flags, n, size := program[0], program[1], program[2], int(program[3]), int(program[4])
		program = program[5:]
		message := program[:min(size%64, len(program))]
		program = program[len(message):]
		h := frame.Header{Type: s.types[int(op)%len(s.types)]}
		if op >= odd {
			h.Type = oddTypes[int(op-odd)%len(oddTypes)]
		}
		if len(s.streams) > 0 {
			h.ID = s.streams[int(id)%len(s.streams)].id
		}
		if id >= odd {
			h.ID = frame.StreamID(id - odd)
		}
		s.frame(&h, flags, n, message)
	}
	return s.out
}

func (s *script) frame(h *frame.Header, flags byte, n int, message []byte) {
	switch h.Type {
	case frame.TypeOpen:
		s.open(h, flags, n, message)
	case frame.TypeData, frame.TypeClose:
		s.data(h, flags, n, message)
	case frame.TypeCredit:
		h.Arg = 1 + uint32(n)<<(flags%6*5)
		if flags%3 == 0 {
			h.ID = 0
		}
		s.append(h, flags, n, nil)
	case frame.TypePing:
		h.ID = 0
		if flags >= odd {
			s.append(h, 0, n, message)
			return
		}
		s.out = frame.AppendPing(s.out, uint64(n))
	case frame.TypeCancel:
		h.Code = uint16(1 + n%16)
		s.append(h, flags, n, nil)
	case frame.TypeGoAway:
		h.Code = uint16(max(0, n-odd))
		s.append(h, flags, n, message)
	default:
		s.append(h, flags, n, message)
	}
}

// open appends an OPEN of the n-th method.
func (s *script) open(h *frame.Header, flags byte, n int, message []byte) {
	if len(s.methods) == 0 {
		s.append(h, flags, n, message)
		return
	}
	if len(s.streams) > 0 && flags < odd {
		h.ID = s.streams[len(s.streams)-1].id + 2
	}
	h.ID = max(h.ID, 1)
	which := n % len(s.methods)
	m := s.methods[which]
	h.Flags = kindFlags(m)
	stream := &scriptStream{id: h.ID, send: m.Kind().CallerStreams()}
	s.streams = append(s.streams, stream)
	if h.Code = s.defined[which]; h.Code == 0 {
		h.Flags |= frame.FlagName
		s.count++
		h.Code, s.defined[which] = s.count, s.count
	}
	switch {
	case !h.Flags.Has(frame.FlagMessage):
		message = nil
	case flags%4 == 3 && len(message) > 0:
		h.Flags ^= frame.FlagHalfClose | frame.FlagMore | frame.FlagTotal
		stream.left = n%16 + 1
	}
	if flags%8 == 1 {
		h.Flags |= frame.FlagHeaders
	}
	s.append(h, flags, n, message)
}

// data appends a DATA or CLOSE of a stream.
func (s *script) data(h *frame.Header, flags byte, n int, message []byte) {
	stream := &scriptStream{}
	for _, each := range s.streams {
		if each.id == h.ID {
			stream = each
		}
	}
	client := len(s.methods) > 0
	switch {
	case h.Type == frame.TypeClose && (stream.send || flags%4 == 3):
		h.Code = uint16(max(0, n-200) % 17)
		if h.Code != 0 {
			h.Flags = frame.FlagDetail
		}
		message = nil
	case stream.left == 0 && flags%8 == 7: // no message
		h.Flags, message = frame.FlagHeaders, nil
		if client {
			h.Flags = frame.FlagHalfClose
		}
	default:
		h.Flags = frame.FlagMessage
		if stream.send {
			h.Flags |= frame.FlagCredited
		}
		message = s.part(h, stream, flags, n, message, client)
	}
	if !client && h.Type == frame.TypeClose && flags%8 == 2 {
		h.Flags |= frame.FlagTrailers
	}
	s.append(h, flags, n, message)
}

// part chooses how a message goes on, and returns the part of it that h carries.
func (s *script) part(h *frame.Header, stream *scriptStream, flags byte, n int, message []byte, client bool) []byte {
	last := h.Type == frame.TypeClose || flags%4 == 1
	switch {
	case stream.left > 0 && last:
		for len(message) < stream.left-1 {
			message = append(message[:len(message):len(message)], 'x')
		}
		message = message[:stream.left-1]
		stream.left = 0
		if client && (!stream.send || n%2 == 0) {
			h.Flags |= frame.FlagHalfClose
		}
	case stream.left > 0:
		message = message[:min(len(message), stream.left-1)]
		stream.left -= len(message)
		h.Flags |= frame.FlagMore
	case h.Type == frame.TypeData && len(message) > 0 && (flags%4 == 3 || !stream.send):
		stream.left = n%16 + 1
		h.Flags |= frame.FlagMore | frame.FlagTotal
	case client && flags%4 == 1:
		h.Flags |= frame.FlagHalfClose
	}
	return message
}

// append appends the frame with the sections that its flags ask for; n chooses
// what is in them.
func (s *script) append(h *frame.Header, flags byte, n int, message []byte) {
	if flags >= odd {
		h.Flags ^= 1 << (flags - odd)
		h.Codec, h.Compression = flags&1, uint8(n)&3
	}
	var payload []byte
	if h.Flags.Has(frame.FlagRoute) {
		payload = frame.AppendRoute(payload, 7)
	}
	if h.Flags.Has(frame.FlagName) && len(s.methods) > 0 {
		payload = frame.AppendName(payload, s.methods[n%len(s.methods)].WireName())
	}
	for _, section := range []frame.Flags{frame.FlagHeaders, frame.FlagTrailers} {
		if h.Flags.Has(section) {
			payload = appendBlock(payload, n)
		}
	}
	if h.Flags.Has(frame.FlagDetail) {
		payload = append(payload, 3, 2, 'n', 'o')
		if n >= odd {
			payload[len(payload)-3] = 9
		}
	}
	if h.Flags.Has(frame.FlagTotal) {
		total := uint32(len(message) + n%16)
		if n >= odd {
			total = 5 << 20
		}
		payload = frame.AppendTotal(payload, total)
	}
	at := len(payload)
	payload = append(payload, message...)
	if n%16 == 5 && len(message) > 0 {
		payload[at] = '!' // cannot be decoded
	}
	h.Length = uint32(len(payload))
	s.out = append(h.Append(s.out), payload...)
}

// appendBlock appends the n-th of a few blocks of metadata, of which most are good.
func appendBlock(b []byte, n int) []byte {
	mark := len(b)
	b = frame.AppendMetadata(b, []metadata.MD{
		{{Key: "k", Value: "v"}}, {}, {{Key: "rpcx-x", Value: "y"}}, {{Key: "a-bin", Value: "\r\n"}, {Key: "a", Value: ""}},
		{{Key: "K", Value: "v"}}, {{Key: "long-bin", Value: string(make([]byte, 9<<10))}},
	}[n%6])
	if n >= odd && len(b) > mark+2 {
		b[mark+2] ^= 0x40 // the first length in the block
	}
	return b
}
