package transport

import "github.com/rpcx-go/rpcx/runtime/internal/frame"

// sendTurn is how many bytes of the connection's credit a stream draws in a turn.
const sendTurn = 16 << 10

// turn lets the streams that wait for the connection's credit go on one after the
// other, each for more than one message: with small ones most of the work would be
// changing from stream to stream. A stream that has waited has a turn, and the next
// one is woken when that ends: when so much has been drawn, when the stream has to
// wait again, or when the batch with its frames is taken, since it may have no more
// to send.
//
// The lock of the link's writer guards it.
type turn struct {
	id    frame.StreamID // whose it is; 0: nobody's
	batch uint64         // the batch that it began in
	left  int64          // bytes that may still be drawn
}

// beginTurnLocked gives s the turn, of which its first frame takes n bytes. That
// frame is appended before the lock is given up.
func (l *link) beginTurnLocked(s *stream, n int64) {
	if l.turn == nil {
		l.turn = new(turn)
	}
	*l.turn = turn{id: s.id, batch: l.w.batches, left: sendTurn - n}
	l.w.next = &l.waiting
}

// inTurnLocked reports whether s may draw n bytes before those that wait.
func (l *link) inTurnLocked(s *stream, n int64) bool {
	t := l.turn
	return t != nil && t.id == s.id && t.batch == l.w.batches && t.left >= n
}

// endTurnLocked wakes the next stream if it is the turn of s, which is over.
func (l *link) endTurnLocked(s *stream) {
	if l.turn == nil || l.turn.id != s.id {
		return
	}
	l.turn.id = 0
	if l.w.next != nil { // or it has been woken
		l.w.next = nil
		l.waiting.wake(1)
	}
}
