package transport

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/internal/frame"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// clientReferee follows what a server sends to a client that has opened streams
// and takes nothing of what they bring until the connection is over, so that
// every outcome is certain.
type clientReferee struct {
	referee
	calls    map[frame.StreamID]*asked
	next     frame.StreamID // that the client would open
	goneTo   frame.StreamID
	draining bool
	granted  int64
}

// asked is a call as its caller sees it.
type asked struct {
	caller, callee bool // who streams
	ended          bool
	canceled       status.Code // that CANCEL must say, if the caller ends the call
	head           bool
	msg            reassembly
	got            []string // messages that can be taken
	credit         int64
	code           status.Code
	notRun         bool
}

// String returns what the caller sees: the messages, up to one that cannot be
// decoded, and the end.
func (a *asked) String() string {
	for i, m := range a.got {
		if strings.HasPrefix(m, "!") {
			return fmt.Sprintf("%q, then %v, not run false", a.got[:i], status.Internal)
		}
	}
	return fmt.Sprintf("%q, then %v, not run %v", a.got, a.code, a.notRun)
}

// seen returns the same of what a caller has seen.
func seen(messages []string, err *status.Error) string {
	return fmt.Sprintf("%q, then %v, not run %v", messages, err.Code(), err.NotRun())
}

// newClientReferee knows of calls of the methods on streams 1, 3, 5 and so on.
func newClientReferee(methods ...*call.Method) *clientReferee {
	r := &clientReferee{calls: map[frame.StreamID]*asked{}, next: 1, goneTo: frame.Undecided}
	for _, m := range methods {
		// What is neither answered nor refused ends with the connection.
		r.calls[r.next] = &asked{caller: m.Kind().CallerStreams(), callee: m.Kind().CalleeStreams(), code: status.Unavailable}
		r.next += 2
	}
	return r
}

func (r *clientReferee) take(h *frame.Header, payload []byte) {
	a := r.calls[h.ID]
	open := a != nil && !a.ended
	ok := true
	switch h.Type {
	case frame.TypePing:
	case frame.TypeCredit:
		r.credit(h, a)
	case frame.TypeData, frame.TypeClose:
		var sec frame.Sections
		switch {
		case h.ID%2 == 0 || h.ID >= r.next:
			ok = false
		case !open:
		case h.Flags.Has(frame.FlagHalfClose) && h.Type == frame.TypeData, frame.ParseSections(h, payload, &sec) != nil:
			ok = false
		case h.Type == frame.TypeData:
			ok = a.data(h, &sec)
		default:
			ok = a.close(h, &sec)
		}
	case frame.TypeGoAway:
		ok = h.ID <= r.goneTo
		if ok {
			r.goAway(h)
		}
	default:
		ok = !h.Type.Known()
	}
	if !ok {
		r.breach(true, frame.ProtocolError)
	}
}

func (r *clientReferee) credit(h *frame.Header, a *asked) {
	const conn, stream = 1 << 20, 256 << 10
	switch {
	case h.ID == 0:
		if r.granted += int64(h.Arg); r.granted+conn > frame.MaxCredit {
			r.breach(true, frame.FlowControlError)
		}
	case h.ID%2 == 0 || h.ID >= r.next:
		r.breach(true, frame.ProtocolError)
	case !a.ended && a.caller:
		if a.credit += int64(h.Arg); a.credit+stream > frame.MaxCredit {
			r.breach(true, frame.FlowControlError)
		}
	}
}

func (r *clientReferee) goAway(h *frame.Header) {
	r.goneTo, r.draining, r.over = h.ID, true, h.Code != 0
	for id, a := range r.calls {
		if id > h.ID && !a.ended {
			a.end(status.Unavailable)
			a.notRun = true
		}
	}
}

// left reports whether the client has nothing more to do on the connection, and
// so may have ended its direction already.
func (r *clientReferee) left() bool {
	for _, a := range r.calls {
		if !a.ended {
			return false
		}
	}
	return r.draining
}

func (a *asked) end(code status.Code) { a.ended, a.code = true, code }

// reject ends the call from the caller's side, which throws away what a stream
// has not taken.
func (a *asked) reject(code status.Code) {
	a.end(code)
	a.got, a.canceled = nil, code
}

// breachIn judges a block of response metadata: what it costs the call, if
// anything, and whether it can be taken apart.
func breachIn(block []byte) (code status.Code, ok bool) {
	var own *frame.CallError
	err := frame.CheckMetadata(block, 8<<10)
	switch {
	case err == nil:
		return status.OK, true
	case !errors.As(err, &own):
		return status.OK, false
	case own.Code == status.ResourceExhausted:
		return status.ResourceExhausted, true
	}
	return status.Internal, true
}

// headers judges the HEADERS of a frame, of which a call has one at most, before
// any message.
func (a *asked) headers(h *frame.Header, sec *frame.Sections) (code status.Code, ok bool) {
	again := a.head
	a.head = a.head || h.Flags&(frame.FlagHeaders|frame.FlagMessage) != 0
	if !h.Flags.Has(frame.FlagHeaders) {
		return status.OK, true
	}
	if again {
		return status.OK, false
	}
	return breachIn(sec.Headers)
}

// data takes DATA for an open call; it reports whether the rules were kept.
func (a *asked) data(h *frame.Header, sec *frame.Sections) bool {
	code, ok := a.headers(h, sec)
	message := h.Flags.Has(frame.FlagMessage)
	credit := !message || h.Flags.Has(frame.FlagCredited) == a.callee
	switch {
	case !ok, !credit && (code == status.OK || !a.caller && !a.callee):
		return false
	case code != status.OK:
		a.reject(code)
		return true
	case !message:
		return true
	case !a.callee && !h.Flags.Has(frame.FlagMore):
		return false
	}
	return a.message(h, sec)
}

// message takes the message part of a frame for an open call.
func (a *asked) message(h *frame.Header, sec *frame.Sections) bool {
	if !a.msg.within {
		switch {
		case h.Codec != 0:
			return false
		case h.Compression != 0:
			a.reject(status.Internal)
			return true
		case h.Flags.Has(frame.FlagTotal) && sec.Total > 4<<20:
			a.reject(status.ResourceExhausted)
			return true
		}
	}
	complete, ok := a.msg.part(h, sec)
	if complete {
		a.got = append(a.got, string(a.msg.bytes))
	}
	return ok
}

// close takes CLOSE for an open call.
func (a *asked) close(h *frame.Header, sec *frame.Sections) bool {
	code, ok := a.headers(h, sec)
	if ok && code == status.OK && h.Flags.Has(frame.FlagTrailers) {
		code, ok = breachIn(sec.Trailers)
	}
	message := h.Flags.Has(frame.FlagMessage)
	within := a.msg.within
	switch {
	case !ok, h.Code == 0 && message == a.callee, h.Code == 0 && a.callee && within:
		return false
	case h.Code != 0:
		if h.Flags.Has(frame.FlagDetail) {
			if _, _, err := frame.ParseDetail(sec.Detail); err != nil {
				return false
			}
		}
		a.notRun = h.Flags.Has(frame.FlagNotRun)
		code = status.Code(h.Code)
	case message:
		if !a.message(h, sec) {
			return false
		}
		if a.ended { // by its format: nobody is left to be told
			a.canceled = status.OK
			return true
		}
	}
	if code != status.OK && !a.callee {
		a.got = nil
	}
	a.end(code)
	return true
}

// sentBack judges what the client has sent on streams since they were opened.
func (r *clientReferee) sentBack(said said) error {
	canceled := map[frame.StreamID]status.Code{}
	for i := range said.frames {
		g := &said.frames[i]
		switch {
		case g.Type == frame.TypeOpen && g.ID < r.next:
		case g.Type == frame.TypePing, g.Type == frame.TypeCredit, g.Type == frame.TypeGoAway:
		case g.Type == frame.TypeCancel && r.calls[g.ID] != nil && canceled[g.ID] == 0:
			canceled[g.ID] = status.Code(g.Code)
		default:
			return fmt.Errorf("the client sent %v", &g.Header)
		}
	}
	for id, a := range r.calls {
		if got := canceled[id]; got != a.canceled && (got != status.OK || !r.over && !r.left()) {
			return fmt.Errorf("stream %d was given up with %v, want %v", id, got, a.canceled)
		}
	}
	return nil
}

// outcomes compares what the callers have seen with what they had to.
func (r *clientReferee) outcomes(got map[frame.StreamID]string) error {
	var all []error
	for id, a := range r.calls {
		if want := a.String(); got[id] != want {
			all = append(all, fmt.Errorf("stream %d: %s\nwant %s", id, got[id], want))
		}
	}
	slices.SortFunc(all, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(all...)
}
