package transport

import (
	"fmt"

	"github.com/rpcx-go/rpcx/runtime/internal/dispatch"
	"github.com/rpcx-go/rpcx/runtime/internal/frame"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// open handles OPEN: it finds the method, checks the call against the rules
// and has it dispatched.
func (s *Server) open(h *frame.Header, sec *frame.Sections) error {
	if h.ID&1 == 0 || h.ID <= s.lastID {
		return protocolErrorf("OPEN of stream %d after stream %d", h.ID, s.lastID)
	}
	s.lastID = h.ID
	if !s.accept(h.ID) {
		return s.late(h)
	}
	m, err := s.method(h, sec)
	if err != nil {
		return err
	}
	refusal, err := s.refusal(h, sec, m)
	if err != nil {
		return err
	}
	if refusal != nil {
		return s.refuse(h.ID, refusal)
	}
	timeout, _ := frame.ArgDeadline(h.Arg)
	c := s.newCall(h, sec, m, timeout)
	return c.start(h, sec)
}

// method returns the method that an OPEN names, or nil if it is not served. It
// keeps the names that are served, so that a flood of others costs nothing.
func (s *Server) method(h *frame.Header, sec *frame.Sections) (*dispatch.Method, error) {
	if !h.Flags.Has(frame.FlagName) {
		if i := int(h.Code); i > 0 && i <= len(s.methods) {
			return s.methods[i-1], nil
		}
		return nil, nil
	}
	m := s.d.Lookup(string(sec.Name))
	if h.Code == 0 {
		return m, nil
	}
	if int(h.Code) != len(s.methods)+1 || uint32(h.Code) > s.cfg.Settings.MaxMethods {
		return nil, protocolErrorf("method id %d defined after %d, the limit is %d (option WithMaxMethods)", h.Code, len(s.methods), s.cfg.Settings.MaxMethods)
	}
	s.methods = append(s.methods, m)
	return m, nil
}

// refusal says why the call is not let in, if it is not.
func (s *Server) refusal(h *frame.Header, sec *frame.Sections, m *dispatch.Method) (*status.Error, error) {
	var rules *frame.CallError
	if h.Flags.Has(frame.FlagHeaders) {
		if err := frame.CheckMetadata(sec.Headers, int(s.cfg.Settings.MaxMetadata)); err != nil {
			var ok bool
			if rules, ok = err.(*frame.CallError); !ok {
				return nil, err
			}
		}
	}
	if m == nil {
		name := fmt.Sprintf("with id %d", h.Code)
		if len(sec.Name) > 0 {
			name = "/" + string(sec.Name)
		}
		return status.New(status.Unimplemented, fmt.Sprintf("method %s is not served here", name)), nil
	}
	want := m.Kind()
	if caller, callee := h.Flags.Has(frame.FlagCallerStreams), h.Flags.Has(frame.FlagCalleeStreams); caller != want.CallerStreams() || callee != want.CalleeStreams() {
		return status.New(status.Unimplemented, fmt.Sprintf("method %s is %v; it was called as another kind", m.FullName(), want)), nil
	}
	if s.codec(h.Codec) == nil {
		return status.New(status.Unimplemented, fmt.Sprintf("codec %d is not accepted here (option WithCodec)", h.Codec)), nil
	}
	if !s.peer().AcceptsCodec(h.Codec) { // it could not be answered
		return status.New(status.Unimplemented, fmt.Sprintf("codec %d is not among those that the client accepts", h.Codec)), nil
	}
	if !s.cfg.Settings.AcceptsCompression(h.Compression) {
		return status.New(status.Unimplemented, notAccepted(h.Compression)), nil
	}
	if rules != nil {
		e := status.New(rules.Code, rules.Reason)
		if rules.Code == status.ResourceExhausted {
			e = e.WithDoNotRetry()
		}
		return e, nil
	}
	if large := breachOf(s.tooLarge(h, sec)); large != nil {
		return large.WithDoNotRetry(), nil
	}
	if n := s.running.Load(); n >= int64(s.cfg.Settings.MaxStreams) {
		return status.New(status.ResourceExhausted, fmt.Sprintf("%d calls run on this connection, the limit is %d (option WithMaxStreams)", n, s.cfg.Settings.MaxStreams)), nil
	}
	return nil, nil
}

// refuse answers a call that was not let in. It is a reply that the peer
// caused, and so one of those of which only a few may wait.
func (s *Server) refuse(id frame.StreamID, e *status.Error) error {
	if err := s.w.lockControl(); err != nil {
		return err
	}
	s.w.buf = appendClose(s.w.buf, id, nil, nil, e.WithNotRun())
	s.w.unlockAsync()
	return nil
}
