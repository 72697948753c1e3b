package transport

import (
	"time"

	"github.com/rpcx-go/rpcx/runtime/internal/frame"
	"github.com/rpcx-go/rpcx/runtime/metadata"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// pending is a call in flight.
type pending struct {
	id    frame.StreamID
	epoch uint64 // value of w.batches when the call was appended

	// done receives once the reader has filled in the result of a unary call.
	done   chan struct{}
	timer  *time.Timer
	result result
	asm    *assembly // the answer, if it comes in parts

	cause error        // why the unary call was given up here, nil if it was not
	phase status.Phase // that it was in then

	head   bool          // headers have arrived, or can no more
	stream *ClientStream // not nil for calls that stream
}

// result is how a call ended, as the peer's CLOSE says. The reader copies it
// out of its buffer.
type result struct {
	err         *status.Error // the call's error
	headers     metadata.MD
	trailers    metadata.MD
	msg         []byte
	compression uint8
}

// reset keeps of p what the next unary call can use. Nobody else may hold it.
func (p *pending) reset() {
	p.asm.cancel()
	done, timer := p.done, p.timer
	*p = pending{}
	p.done, p.timer = done, timer
}

// signal wakes the caller of a unary call that has been taken out of the table.
func (c *Client) signal(p *pending) {
	p.done <- struct{}{}
}

// mostAnswers is how many answered calls wait at most until their callers are woken.
const mostAnswers = 64

// signalLater is signal, but not at once: the callers of answers that came together
// are woken together, so that they do not compete with the goroutine that reads, and
// what they send next goes together, too. It is called on that goroutine, which calls
// signalAnswered before it waits for anything.
func (c *Client) signalLater(p *pending) {
	c.unary.came(c.received.Load())
	c.answers = append(c.answers, p)
	if len(c.answers) == mostAnswers {
		c.signalAnswered()
	}
}

// signalAnswered wakes the callers of all answered calls.
func (c *Client) signalAnswered() {
	for i, p := range c.answers {
		c.answers[i] = nil
		c.signal(p)
	}
	c.answers = c.answers[:0]
}
