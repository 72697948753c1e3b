package transport

import (
	"errors"
	"fmt"
	"strings"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/frame"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// serverReferee follows what a client sends, and knows what comes of each call:
// unary methods echo, those that stream answer with what they got, joined.
type serverReferee struct {
	referee
	methods map[string]*call.Method
	defined []string
	last    frame.StreamID
	goneTo  frame.StreamID
	granted int64
	streams map[frame.StreamID]*refereed
	answers bool // a stream that the callee streams on was opened
}

// refereed is a stream as its callee sees it.
type refereed struct {
	caller, callee bool // who streams
	sure           bool // the handler cannot have ended it yet
	closed         bool // it takes no more frames
	half           bool
	msg            reassembly
	parts          []string // the messages
	credit         int64
	want           *answered // nil if anything may come of it
}

// answered is what a call must end with.
type answered struct {
	code status.Code
	text string
}

func newServerReferee(methods map[string]*call.Method) *serverReferee {
	return &serverReferee{methods: methods, goneTo: frame.Undecided, streams: map[frame.StreamID]*refereed{}}
}

// broken says that a frame of the stream breaks a rule if the stream is open.
func (r *serverReferee) broken(s *refereed, code frame.ErrorCode) {
	r.breach(s.sure, code)
	s.closed = true // or else it is over
}

func (r *serverReferee) take(h *frame.Header, payload []byte) {
	switch h.Type {
	case frame.TypePing:
	case frame.TypeCredit:
		r.credit(h)
	case frame.TypeOpen:
		r.open(h, payload)
	case frame.TypeData, frame.TypeCancel:
		s := r.streams[h.ID]
		switch {
		case h.ID%2 == 0 || h.ID > r.last:
			r.breach(true, frame.ProtocolError)
		case s == nil || s.closed:
		case h.Type == frame.TypeCancel:
			s.closed, s.want = true, nil
		default:
			r.data(s, h, payload)
		}
	case frame.TypeGoAway:
		if h.ID > r.goneTo {
			r.breach(true, frame.ProtocolError)
		}
		r.goneTo = h.ID
		r.over = r.over || h.Code != 0
	default:
		if h.Type.Known() {
			r.breach(true, frame.ProtocolError)
		}
	}
}

func (r *serverReferee) credit(h *frame.Header) {
	const conn, stream = 1 << 20, 256 << 10
	if h.ID == 0 {
		if r.granted += int64(h.Arg); r.granted+conn > frame.MaxCredit {
			r.breach(!r.answers, frame.FlowControlError)
		}
		return
	}
	s := r.streams[h.ID]
	switch {
	case h.ID%2 == 0 || h.ID > r.last:
		r.breach(true, frame.ProtocolError)
	case s != nil && !s.closed && s.callee:
		if s.credit += int64(h.Arg); s.credit+stream > frame.MaxCredit {
			r.broken(s, frame.FlowControlError)
		}
	}
}

func (r *serverReferee) open(h *frame.Header, payload []byte) {
	var sec frame.Sections
	if frame.ParseSections(h, payload, &sec) != nil || h.ID%2 == 0 || h.ID <= r.last {
		r.breach(true, frame.ProtocolError)
		return
	}
	r.last = h.ID
	name := string(sec.Name)
	switch {
	case !h.Flags.Has(frame.FlagName):
		if int(h.Code) <= len(r.defined) {
			name = r.defined[h.Code-1]
		}
	case h.Code != 0:
		if int(h.Code) != len(r.defined)+1 {
			r.breach(true, frame.ProtocolError)
			return
		}
		r.defined = append(r.defined, name)
	}
	s := &refereed{caller: h.Flags.Has(frame.FlagCallerStreams), callee: h.Flags.Has(frame.FlagCalleeStreams)}
	r.streams[h.ID] = s
	if code, ok := r.refusal(h, &sec, r.methods[name]); !ok {
		r.breach(true, frame.ProtocolError)
		return
	} else if code != status.OK {
		s.closed, s.want = true, &answered{code: code}
		return
	}
	r.answers = r.answers || s.callee
	s.sure = true
	if h.Flags.Has(frame.FlagMessage) {
		r.message(s, h, &sec)
	}
	if h.Flags.Has(frame.FlagHalfClose) {
		r.requested(s)
	}
}

// refusal says why a call is not let in; it is not ok if the metadata cannot be
// taken apart.
func (r *serverReferee) refusal(h *frame.Header, sec *frame.Sections, m *call.Method) (_ status.Code, ok bool) {
	breach := status.OK
	if h.Flags.Has(frame.FlagHeaders) {
		var own *frame.CallError
		if err := frame.CheckMetadata(sec.Headers, 8<<10); errors.As(err, &own) {
			breach = own.Code
		} else if err != nil {
			return 0, false
		}
	}
	switch {
	case m == nil, h.Flags.Has(frame.FlagCallerStreams) != m.Kind().CallerStreams(), h.Flags.Has(frame.FlagCalleeStreams) != m.Kind().CalleeStreams(),
		h.Codec != 0, h.Compression != 0:
		return status.Unimplemented, true
	case breach != status.OK:
		return breach, true
	case max(int(sec.Total), len(sec.Message)) > 4<<20:
		return status.ResourceExhausted, true
	}
	return status.OK, true
}

// data takes a DATA frame of a stream that may be open.
func (r *serverReferee) data(s *refereed, h *frame.Header, payload []byte) {
	var sec frame.Sections
	half, message := h.Flags.Has(frame.FlagHalfClose), h.Flags.Has(frame.FlagMessage)
	switch {
	case frame.ParseSections(h, payload, &sec) != nil, h.Flags.Has(frame.FlagHeaders), s.half,
		message && h.Flags.Has(frame.FlagCredited) != s.caller,
		!s.caller && (!message || half == h.Flags.Has(frame.FlagMore)):
		r.broken(s, frame.ProtocolError)
		return
	}
	if message {
		r.message(s, h, &sec)
	}
	switch {
	case s.closed || r.over || !half:
	case s.msg.within:
		r.broken(s, frame.ProtocolError)
	default:
		r.requested(s)
	}
}

// message takes the message part of an OPEN or DATA.
func (r *serverReferee) message(s *refereed, h *frame.Header, sec *frame.Sections) {
	if h.Type == frame.TypeData && !s.msg.within {
		switch {
		case h.Codec != 0:
			r.broken(s, frame.ProtocolError)
			return
		case h.Compression != 0:
			r.stopped(s, status.Unimplemented)
			return
		case h.Flags.Has(frame.FlagTotal) && sec.Total > 4<<20:
			r.stopped(s, status.ResourceExhausted)
			return
		}
	}
	complete, ok := s.msg.part(h, sec)
	if !ok {
		r.broken(s, frame.ProtocolError)
	}
	if !complete {
		return
	}
	s.parts = append(s.parts, string(s.msg.bytes))
	if strings.HasPrefix(s.parts[len(s.parts)-1], "!") && s.want == nil {
		s.sure, s.want = false, &answered{code: status.InvalidArgument}
	}
}

// stopped says that a message ends the call.
func (r *serverReferee) stopped(s *refereed, code status.Code) {
	s.want = nil // the handler may have ended it in its way
	if s.sure {
		s.want = &answered{code: code}
	}
	s.closed = true
}

// requested says that the caller has sent all.
func (r *serverReferee) requested(s *refereed) {
	s.sure, s.half = false, true
	if s.want == nil {
		s.want = &answered{text: strings.Join(s.parts, " ")}
	}
}

// answersOf judges what the server has sent on streams.
func (r *serverReferee) answersOf(said said) error {
	type answer struct {
		answered
		closed bool
	}
	all := map[frame.StreamID]*answer{}
	for i := range said.frames {
		g := &said.frames[i]
		switch g.Type {
		case frame.TypeData, frame.TypeClose:
		case frame.TypePing, frame.TypeGoAway, frame.TypeCredit:
			continue
		default:
			return fmt.Errorf("the server sent %v", &g.Header)
		}
		s, a := r.streams[g.ID], all[g.ID]
		if a == nil {
			a = new(answer)
			all[g.ID] = a
		}
		if s == nil || a.closed || g.Type == frame.TypeData && !s.callee {
			return fmt.Errorf("the server sent %v", &g.Header)
		}
		a.text += string(g.Message)
		a.closed, a.code = g.Type == frame.TypeClose, status.Code(g.Code)
	}
	for id, s := range r.streams {
		a := all[id]
		switch {
		case s.want == nil || a == nil && (r.over || said.end != 0):
		case a == nil || !a.closed && said.end == 0 && !r.over:
			return fmt.Errorf("stream %d has no end, want %v", id, *s.want)
		case a.closed && a.answered != *s.want && (a.code == status.OK || said.end == 0 && !r.over):
			return fmt.Errorf("stream %d ended with %v, want %v", id, a.answered, *s.want)
		}
	}
	return nil
}
