package frame

import (
	"testing"

	"github.com/rpcx-go/rpcx/runtime/internal/frame/vectors"
)

// model is the protocol's state as someone sees it who reads both directions,
// written after sections 7 to 10 of docs/protocol.md as plainly as possible. It
// holds the vectors to what the document says.
type model struct {
	start    bool // settings are still to come
	settings map[vectors.Dir]*Settings
	conn     map[vectors.Dir]int64 // credit that a side may draw on
	streams  map[StreamID]*modelStream
	highest  StreamID
	methods  uint16
	goAway   map[vectors.Dir]StreamID
}

type modelStream struct {
	flags      Flags // of OPEN
	codec      uint8
	half       bool // the caller has half-closed
	headers    bool // response headers were sent
	answered   bool // the callee has sent message bytes
	credit     map[vectors.Dir]int64
	unfinished map[vectors.Dir]int64 // bytes missing of a message, plus 1; 0: between messages
	closed     bool
}

func newModel(start bool) *model {
	m := &model{start: start, streams: map[StreamID]*modelStream{}, settings: map[vectors.Dir]*Settings{},
		conn: map[vectors.Dir]int64{}, goAway: map[vectors.Dir]StreamID{vectors.Client: Undecided, vectors.Server: Undecided}}
	for _, dir := range []vectors.Dir{vectors.Client, vectors.Server} {
		if !start {
			s := DefaultSettings()
			m.settings[dir] = &s
		}
		m.conn[other(dir)] = int64(m.accepted(dir).ConnCredit)
	}
	return m
}

func other(dir vectors.Dir) vectors.Dir {
	if dir == vectors.Client {
		return vectors.Server
	}
	return vectors.Client
}

// accepted is what dir accepts as far as the other side knows.
func (m *model) accepted(dir vectors.Dir) Settings {
	if s := m.settings[dir]; s != nil {
		return *s
	}
	return MinimumSettings()
}

// read takes a valid frame from dir.
func (m *model) read(dir vectors.Dir, h *Header, payload []byte) error {
	if m.settings[dir] == nil && h.Type != TypeSettings && (h.Type != TypeGoAway || h.Code == 0) {
		return errorf(ProtocolError, "first frame is %v", h.Type)
	}
	if m.start && h.Flags.Has(FlagChecksum) && m.accepted(vectors.Client).Checksum&m.accepted(vectors.Server).Checksum == 0 {
		return errorf(ProtocolError, "checksum was not agreed on")
	}
	switch h.Type {
	case TypeSettings:
		return m.readSettings(dir, payload)
	case TypeGoAway:
		if h.ID > m.goAway[dir] {
			return errorf(ProtocolError, "GOAWAY rises")
		}
		m.goAway[dir] = h.ID
	case TypeCredit:
		return m.readCredit(dir, h)
	case TypeOpen:
		return m.readOpen(dir, h, payload)
	case TypeData, TypeClose, TypeCancel:
		return m.readStream(dir, h, payload)
	}
	return nil
}

func (m *model) readSettings(dir vectors.Dir, payload []byte) error {
	if m.settings[dir] != nil {
		return errorf(ProtocolError, "SETTINGS again")
	}
	before := m.accepted(dir)
	s, err := ParseSettings(payload)
	if err != nil {
		return err
	}
	m.settings[dir] = &s
	m.conn[other(dir)] += int64(s.ConnCredit) - int64(before.ConnCredit)
	for _, stream := range m.streams {
		stream.credit[other(dir)] += int64(s.StreamCredit) - int64(before.StreamCredit)
	}
	return nil
}

func (m *model) readCredit(dir vectors.Dir, h *Header) error {
	if h.ID > m.highest {
		return errorf(ProtocolError, "credit for a stream never opened")
	}
	total := m.conn[other(dir)] + int64(h.Arg)
	if stream := m.streams[h.ID]; h.ID != 0 {
		if stream == nil || stream.closed {
			return nil
		}
		stream.credit[other(dir)] += int64(h.Arg)
		total = stream.credit[other(dir)]
	} else {
		m.conn[other(dir)] = total
	}
	if total > MaxCredit {
		return errorf(FlowControlError, "credit overflows")
	}
	return nil
}

func (m *model) readOpen(dir vectors.Dir, h *Header, payload []byte) error {
	if dir == vectors.Server || h.ID%2 == 0 || h.ID <= m.highest {
		return errorf(ProtocolError, "OPEN %d by %c after %d", h.ID, dir, m.highest)
	}
	var s Sections
	if err := ParseSections(h, payload, &s); err != nil {
		return err
	}
	if h.Flags.Has(FlagName) && h.Code != 0 {
		if h.Code != m.methods+1 {
			return errorf(ProtocolError, "method %d defined after %d", h.Code, m.methods)
		}
		m.methods = h.Code
	}
	m.highest = h.ID
	stream := &modelStream{flags: h.Flags, codec: h.Codec, half: h.Flags.Has(FlagHalfClose), unfinished: map[vectors.Dir]int64{}}
	stream.credit = map[vectors.Dir]int64{
		vectors.Client: int64(m.accepted(vectors.Server).StreamCredit),
		vectors.Server: int64(m.accepted(vectors.Client).StreamCredit),
	}
	m.streams[h.ID] = stream
	return m.readMessage(dir, h, &s, stream)
}

func (m *model) readStream(dir vectors.Dir, h *Header, payload []byte) error {
	if h.ID > m.highest {
		return errorf(ProtocolError, "stream %d was never opened", h.ID)
	}
	if h.Type == TypeClose && dir == vectors.Client || h.Type == TypeCancel && dir == vectors.Server {
		return errorf(ProtocolError, "%v by the wrong side", h.Type)
	}
	stream := m.streams[h.ID]
	if stream == nil || stream.closed {
		return nil // late
	}
	if h.Type == TypeCancel {
		stream.closed = true
		return nil
	}
	var s Sections
	if err := ParseSections(h, payload, &s); err != nil {
		return err
	}
	caller := dir == vectors.Client
	if caller && (stream.half || h.Flags.Has(FlagHeaders)) || !caller && h.Type == TypeData && h.Flags.Has(FlagHalfClose) {
		return errorf(ProtocolError, "DATA by %c with flags %v, half-closed %v", dir, h.Flags, stream.half)
	}
	if h.Flags.Has(FlagHeaders) {
		if stream.headers || stream.answered {
			return errorf(ProtocolError, "headers twice or late")
		}
		stream.headers = true
	}
	if err := m.readMessage(dir, h, &s, stream); err != nil {
		return err
	}
	if h.Type == TypeClose {
		stream.closed = true
		streams := stream.flags.Has(FlagCalleeStreams)
		if h.Code == 0 && (h.Flags.Has(FlagMessage) == streams || stream.unfinished[dir] != 0) {
			return errorf(ProtocolError, "CLOSE with success: message %v, stream %v", h.Flags.Has(FlagMessage), streams)
		}
	}
	return nil
}

// readMessage follows message and half-close of a frame that is in time.
func (m *model) readMessage(dir vectors.Dir, h *Header, s *Sections, stream *modelStream) error {
	half := h.Type != TypeClose && h.Flags.Has(FlagHalfClose)
	if !h.Flags.Has(FlagMessage) {
		if half && stream.unfinished[dir] != 0 {
			return errorf(ProtocolError, "half-close within a message")
		}
		stream.half = stream.half || half
		return nil
	}
	stream.half = stream.half || half
	stream.answered = stream.answered || dir == vectors.Server
	streams := stream.flags.Has(FlagCallerStreams)
	if dir == vectors.Server {
		streams = stream.flags.Has(FlagCalleeStreams)
	}
	if h.Type != TypeOpen && h.Flags.Has(FlagCredited) != (streams && h.Type == TypeData) {
		return errorf(ProtocolError, "CREDITED %v on a stream of messages: %v", h.Flags.Has(FlagCredited), streams)
	}
	if h.Flags.Has(FlagCredited) {
		m.conn[dir] -= int64(h.Cost())
		stream.credit[dir] -= int64(h.Cost())
		if m.conn[dir] < 0 || stream.credit[dir] < 0 {
			return errorf(FlowControlError, "credit overdrawn")
		}
	}
	more := h.Flags.Has(FlagMore)
	if !streams && h.Type == TypeData && !more && !half {
		return errorf(ProtocolError, "a single message ends in DATA without half-close")
	}
	return m.readFragment(dir, h, s, stream, more)
}

func (m *model) readFragment(dir vectors.Dir, h *Header, s *Sections, stream *modelStream, more bool) error {
	left := stream.unfinished[dir]
	defer func() { stream.unfinished[dir] = left }()
	missing := &left
	n := int64(len(s.Message))
	if *missing == 0 {
		if h.Codec != stream.codec {
			return errorf(ProtocolError, "codec %d in a call of codec %d", h.Codec, stream.codec)
		}
		if more != h.Flags.Has(FlagTotal) {
			return errorf(ProtocolError, "first fragment without TOTAL")
		}
		*missing = n + 1
		if more {
			*missing = int64(s.Total) + 1
		}
	} else if h.Flags.Has(FlagTotal) || h.Codec|h.Compression != 0 {
		return errorf(ProtocolError, "TOTAL or a format on a later fragment")
	}
	*missing -= n
	if *missing < 1 || !more && *missing != 1 {
		return errorf(ProtocolError, "TOTAL is %d bytes away", *missing-1)
	}
	if !more {
		*missing = 0
	}
	return nil
}

// TestVectorsFollowTheDocument runs each vector through the model: only those
// that are wrong by state may fail, and only with their last frame.
func TestVectorsFollowTheDocument(t *testing.T) {
	for _, v := range loadVectors(t) {
		if v.Start == vectors.Anywhere {
			continue
		}
		t.Run(v.Name, func(t *testing.T) {
			m := newModel(v.Start == vectors.Preface)
			seen := map[vectors.Dir]bool{}
			for i, u := range v.Units {
				last := i == len(v.Units)-1
				if first := v.Start == vectors.Preface && !seen[u.Dir]; first || last && v.By == "frame" {
					seen[u.Dir] = true
					continue
				}
				h, err := ParseHeader(u.Bytes)
				if err != nil {
					t.Fatal(err)
				}
				payload := u.Bytes[HeaderSize : HeaderSize+int(h.Length)]
				got, want := "ok", "ok"
				if err := m.read(u.Dir, &h, payload); err != nil {
					got = expectation(err)
				}
				if last {
					want = v.Expect
				}
				if got != want {
					t.Fatalf("unit %d, %c %v: got %s, want %s", i, u.Dir, &h, got, want)
				}
			}
		})
	}
}
