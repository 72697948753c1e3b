package faults

import (
	"encoding/binary"
	"fmt"
	"net"
	"sync"
)

// Ledger is a connection that keeps the books of the connection's credit, as
// the wire has it. It stands at the client's end. Its methods may be called
// concurrently.
type Ledger struct {
	net.Conn
	mu    sync.Mutex
	lanes [2]ledgerLane // what the client sends, what it reads
}

// ledgerLane is one direction.
type ledgerLane struct {
	head    []byte // the preface or the header that is arriving
	want    int    // bytes that head lacks
	begun   bool   // the preface is over
	skip    int    // bytes of payload that are of no interest
	payload []byte // of SETTINGS
	settle  int    // bytes that payload lacks

	window int64 // that the sender of this direction's frames grants to the other one
	drawn  int64 // by frames of this direction
	grants int64 // of this direction's CREDIT frames, on the connection
}

// Flag and setting of credits.
const (
	credited          = 0x0400
	connCreditSetting = 6
	defaultConnCredit = 1 << 20
)

// NewLedger keeps the books of conn.
func NewLedger(conn net.Conn) *Ledger {
	l := &Ledger{Conn: conn}
	for i := range l.lanes {
		l.lanes[i].want = PrefaceSize
		l.lanes[i].window = defaultConnCredit
	}
	return l
}

func (l *Ledger) Write(p []byte) (int, error) {
	l.mu.Lock()
	l.lanes[0].feed(p) // before it is sent, so that the answer comes later
	l.mu.Unlock()
	return l.Conn.Write(p)
}

func (l *Ledger) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	l.mu.Lock()
	l.lanes[1].feed(p[:n])
	l.mu.Unlock()
	return n, err
}

// CloseWrite closes one direction, if conn can.
func (l *Ledger) CloseWrite() error {
	if half, ok := l.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return net.ErrClosed
}

// Lost says which direction's credit has not come back. It is asked while no
// call runs and nothing is under way: then a side may hold back less than a
// quarter of its window.
func (l *Ledger) Lost() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, name := range [...]string{"the client", "the server"} {
		sender, receiver := &l.lanes[i], &l.lanes[1-i]
		if owed := sender.drawn - receiver.grants; owed >= receiver.window/4 {
			return fmt.Errorf("credit of the connection is lost: %s drew %d bytes and got %d back, the window is %d", name, sender.drawn, receiver.grants, receiver.window)
		}
	}
	return nil
}

func (d *ledgerLane) feed(p []byte) {
	for len(p) > 0 {
		switch {
		case d.skip > 0:
			n := min(d.skip, len(p))
			d.skip -= n
			p = p[n:]
		case d.settle > 0:
			n := min(d.settle, len(p))
			d.payload = append(d.payload, p[:n]...)
			p = p[n:]
			if d.settle -= n; d.settle == 0 {
				d.settings()
			}
		default:
			n := min(d.want, len(p))
			d.head = append(d.head, p[:n]...)
			p = p[n:]
			if d.want -= n; d.want == 0 {
				d.header()
			}
		}
	}
}

// header books the frame whose header has arrived.
func (d *ledgerLane) header() {
	head := d.head
	d.head, d.want = d.head[:0], HeaderSize
	if !d.begun {
		d.begun = true
		return
	}
	f := Frame{Head: [HeaderSize]byte(head)}
	size := bodySize(head)
	switch f.Type() {
	case Settings:
		d.settle = size
		return
	case Credit:
		if f.ID() == 0 {
			d.grants += int64(binary.LittleEndian.Uint32(head[16:]))
		}
	case Data:
		if f.Flags()&credited != 0 {
			d.drawn += HeaderSize + int64(payloadSize(head))
		}
	}
	d.skip = size
}

func (d *ledgerLane) settings() {
	for p := d.payload; len(p) >= 8; p = p[8:] {
		if binary.LittleEndian.Uint16(p) == connCreditSetting {
			d.window = int64(binary.LittleEndian.Uint32(p[4:]))
		}
	}
}
