package rpcx

import (
	"context"
	"log/slog"
)

// errorsOnly is the handler of servers and connections without a logger: what is
// an error, as a handler's panic is, goes to the default logger, the rest nowhere.
type errorsOnly struct{ attrs []slog.Attr }

func (errorsOnly) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelError }

func (h errorsOnly) Handle(ctx context.Context, r slog.Record) error {
	r.AddAttrs(h.attrs...)
	return slog.Default().Handler().Handle(ctx, r)
}

func (h errorsOnly) WithAttrs(attrs []slog.Attr) slog.Handler {
	return errorsOnly{append(h.attrs[:len(h.attrs):len(h.attrs)], attrs...)}
}

// WithGroup leaves groups out: nothing in the runtime logs in one.
func (h errorsOnly) WithGroup(string) slog.Handler { return h }
