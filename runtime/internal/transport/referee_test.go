package transport

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rpcx-go/rpcx/runtime/internal/frame"
)

// referee says how a connection must end, from what one side was sent. It goes
// by docs/protocol.md and knows nothing of how the side under test works.
type referee struct {
	// must is the breach that ends the connection whatever handlers do, and may
	// are those before it that count only if their stream was still open then.
	must frame.ErrorCode
	may  []frame.ErrorCode
	// over says that nothing behind is looked at: after must, or when the peer
	// has ended the connection by a GOAWAY.
	over  bool
	pings []uint64 // to be answered
}

// frames splits what was sent behind the settings and gives each whole frame to
// take, until the connection is over.
func (r *referee) frames(sent []byte, take func(h *frame.Header, payload []byte)) {
	for len(sent) >= frame.HeaderSize && !r.over {
		h, err := frame.ParseHeader(sent)
		if err == nil {
			err = h.Validate(64 << 10)
		}
		if err != nil {
			r.breach(true, codeOf(err))
			return
		}
		whole := frameSize(sent)
		if len(sent) < whole {
			return
		}
		if h.Flags.Has(frame.FlagChecksum) { // never agreed on here
			r.breach(true, frame.ProtocolError)
			return
		}
		if h.Type == frame.TypePing && !h.Flags.Has(frame.FlagAck) {
			r.pings = append(r.pings, frame.ParsePing(sent[frame.HeaderSize:]))
		}
		take(&h, sent[frame.HeaderSize:whole])
		sent = sent[whole:]
	}
}

func (r *referee) breach(sure bool, code frame.ErrorCode) {
	if sure {
		r.must, r.over = code, true
		return
	}
	r.may = append(r.may, code)
}

func codeOf(err error) frame.ErrorCode {
	var e *frame.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return frame.InternalError
}

// said is what the side under test has sent.
type said struct {
	frames []got // behind the settings, without a last GOAWAY with an error
	end    frame.ErrorCode
}

// goneByGoAway reports whether the peer has ended the connection: a side that
// is told so may close at once, in the middle of what it sends.
func (r *referee) goneByGoAway() bool { return r.over && r.must == frame.NoError }

// hear takes what a side has sent apart, and says what of it is against the
// rules whatever was sent to it. It may be cut anywhere if cut is set.
func hear(sent []byte, cut bool) (s said, err error) {
	sent, ok := bytes.CutPrefix(sent, []byte(frame.Preface))
	if !ok {
		if cut && strings.HasPrefix(frame.Preface, string(sent)) {
			return s, nil
		}
		return s, fmt.Errorf("no preface: % x", sent[:min(len(sent), 8)])
	}
	for len(sent) > 0 {
		if len(sent) < frame.HeaderSize || len(sent) < frameSize(sent) {
			if cut {
				break
			}
			return s, fmt.Errorf("half a frame: % x", sent)
		}
		var g got
		if g.Header, err = frame.ParseHeader(sent); err == nil {
			err = g.Validate(64 << 10)
		}
		if err != nil {
			return s, err
		}
		whole := frameSize(sent)
		g.payload, sent = sent[frame.HeaderSize:whole], sent[whole:]
		if g.Type >= frame.TypeOpen && g.Type != frame.TypeCancel {
			if err := frame.ParseSections(&g.Header, g.payload, &g.Sections); err != nil {
				return s, err
			}
		}
		if g.Type == frame.TypeGoAway && g.Code != 0 {
			s.end = frame.ErrorCode(g.Code)
			if len(sent) > 0 {
				return s, fmt.Errorf("%d bytes behind the GOAWAY", len(sent))
			}
			break
		}
		s.frames = append(s.frames, g)
	}
	if len(s.frames) == 0 && cut {
		return s, nil
	}
	if len(s.frames) == 0 || s.frames[0].Type != frame.TypeSettings {
		return s, errors.New("the first frame is not SETTINGS")
	}
	s.frames = s.frames[1:]
	return s, nil
}

// judge compares how the connection ended with how it had to. silent says that
// the side could not send a GOAWAY any more.
func (r *referee) judge(s said, silent bool) error {
	allowed := slices.Contains(r.may, s.end) || s.end == r.must || s.end == frame.NoError && silent
	if !allowed {
		return fmt.Errorf("it ended with %v, want %v, or perhaps %v", s.end, r.must, r.may)
	}
	acks := 0
	for _, g := range s.frames {
		switch {
		case g.Type == frame.TypeSettings:
			return errors.New("SETTINGS twice")
		case g.Type == frame.TypePing && !g.Flags.Has(frame.FlagAck):
			return errors.New("a PING that nobody asked for")
		case g.Type == frame.TypePing:
			if acks == len(r.pings) || frame.ParsePing(g.payload) != r.pings[acks] {
				return fmt.Errorf("answer %d to pings %x is %x", acks, r.pings, g.payload)
			}
			acks++
		}
	}
	if s.end == frame.NoError && !r.over && !silent && acks != len(r.pings) {
		return fmt.Errorf("%d of %d pings were answered", acks, len(r.pings))
	}
	return nil
}

// reassembly is a message that arrives in parts, as section 9.2 has it.
type reassembly struct {
	within bool
	total  int
	bytes  []byte
}

// part takes the message part of a frame. It reports whether the message is
// complete, and whether the rules were kept.
func (a *reassembly) part(h *frame.Header, sec *frame.Sections) (complete, ok bool) {
	more := h.Flags.Has(frame.FlagMore)
	switch {
	case !a.within:
		if more != h.Flags.Has(frame.FlagTotal) {
			return false, false
		}
		*a = reassembly{within: true, total: len(sec.Message)}
		if more {
			a.total = int(sec.Total)
		}
	case h.Flags.Has(frame.FlagTotal), h.Codec|h.Compression != 0:
		return false, false
	}
	a.bytes = append(a.bytes, sec.Message...)
	if len(a.bytes) > a.total || !more && len(a.bytes) < a.total {
		return false, false
	}
	a.within = more
	return !more, true
}
