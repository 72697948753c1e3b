package gateway

import (
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rpcx-go/rpcx/runtime/internal/fallback"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// longAgo is a deadline that ends what waits.
var longAgo = time.Unix(1, 0)

// pacedBody is the body of a call. It counts what it holds of a message, and the
// single message of a call must come without long pauses. One goroutine reads it.
type pacedBody struct {
	io.ReadCloser
	rc       *http.ResponseController
	budget   fallback.Budget
	patience time.Duration // 0: for ever

	over      atomic.Bool // nothing more is waited for
	ended     atomic.Bool // it has been read to its end
	stalled   bool        // the client stopped in the middle
	exhausted *status.Error
	held      int64 // bytes since release
	taken     int64 // of the budget for them

	head     [5]byte // read ahead; what is left of it is head[from:to]
	from, to int
}

// freeBytes of a message are not counted in the budget, budgetStep at a time are.
const freeBytes, budgetStep = 64 << 10, 64 << 10

// prefixed returns the length that stands before the message, behind a byte of
// flags, or 0 if that cannot be read.
func (b *pacedBody) prefixed() int64 {
	n, err := io.ReadFull(b, b.head[:])
	if b.to = n; err != nil {
		return 0
	}
	return int64(binary.BigEndian.Uint32(b.head[1:]))
}

func (b *pacedBody) Read(p []byte) (int, error) {
	if b.from < b.to {
		n := copy(p, b.head[b.from:b.to])
		b.from += n
		return n, nil
	}
	if b.patience > 0 {
		_ = b.rc.SetReadDeadline(time.Now().Add(b.patience)) // nothing more can be done if that cannot be
		if b.over.Load() {
			_ = b.rc.SetReadDeadline(longAgo)
		}
	}
	start := time.Now()
	n, err := b.ReadCloser.Read(p)
	if b.held += int64(n); b.held-b.taken > freeBytes {
		if b.exhausted = b.budget.Take(budgetStep); b.exhausted != nil {
			return 0, b.exhausted
		}
		b.taken += budgetStep
	}
	if err == io.EOF {
		b.ended.Store(true)
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		b.stalled = b.patience > 0 && time.Since(start) >= b.patience // and has not been interrupted
	case err != nil && b.patience > 0:
		_ = b.rc.SetReadDeadline(time.Time{})
	}
	return n, err
}

// release says that the message has been decoded, or given up.
func (b *pacedBody) release() {
	if b.taken > 0 {
		b.budget.Give(b.taken)
	}
	b.held, b.taken = 0, 0
}

// giveUp has a Read return, and each later one.
func (b *pacedBody) giveUp() {
	b.over.Store(true)
	_ = b.rc.SetReadDeadline(longAgo)
}

// size returns how large the single message of a request is, as far as the
// request states it beforehand, and else 0.
func (x *exchange) size() int64 {
	switch contentType := x.r.Header.Get("Content-Type"); {
	case x.body.patience == 0 || x.r.Method != http.MethodPost:
		return 0
	case strings.HasPrefix(contentType, "application/connect+"), strings.HasPrefix(contentType, "application/grpc"):
		return x.body.prefixed()
	}
	return x.r.ContentLength
}

// pacedWriter writes an answer that the client must take without long pauses, by
// the flow control of HTTP/2, too.
type pacedWriter struct {
	http.ResponseWriter
	rc       *http.ResponseController
	patience time.Duration // 0: for ever
	over     atomic.Bool
	// body is what net/http reads to its end before it writes, unless that has
	// been done; nil if it does not.
	body *pacedBody
}

// Unwrap has a ResponseController find what it controls.
func (w *pacedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// piece is how much is written before the client has time again.
const piece = 64 << 10

func (w *pacedWriter) Write(b []byte) (done int, err error) {
	w.hurryBody()
	for {
		w.hurry()
		n, err := w.ResponseWriter.Write(b[:min(len(b), piece)])
		done += n
		if b = b[n:]; err != nil || len(b) == 0 {
			return done, err
		}
	}
}

// WriteHeader implements http.ResponseWriter.
func (w *pacedWriter) WriteHeader(status int) {
	w.hurryBody()
	w.ResponseWriter.WriteHeader(status)
}

// Flush implements http.Flusher.
func (w *pacedWriter) Flush() {
	w.hurryBody()
	w.hurry()
	_ = w.rc.Flush() // the next write fails, too
}

// hurry bounds what is written next, and what net/http writes by itself in the end.
func (w *pacedWriter) hurry() {
	if w.patience == 0 {
		return
	}
	_ = w.rc.SetWriteDeadline(time.Now().Add(w.patience)) // nothing more can be done if that cannot be
	if w.over.Load() {
		_ = w.rc.SetWriteDeadline(longAgo)
	}
}

// hurryBody bounds how long net/http reads what nobody else has.
func (w *pacedWriter) hurryBody() {
	if w.patience > 0 && w.body != nil && !w.body.ended.Load() {
		_ = w.rc.SetReadDeadline(time.Now().Add(w.patience))
	}
}

// giveUp has a Write return, and each later one.
func (w *pacedWriter) giveUp() {
	w.over.Store(true)
	_ = w.rc.SetWriteDeadline(longAgo)
}
