package members

import (
	"context"
	"log/slog"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// zapToSlog lets etcd, which logs with zap, log into ours: warnings and worse only. What
// etcd calls an error (a peer away, a slow disk) it will retry by itself: a
// warning to us. Debug of ours shows all of it.
func zapToSlog(log *slog.Logger) *zap.Logger {
	return zap.New(&zapBridge{log: log})
}

// harmless are warnings of etcd's about what is meant to be so.
func harmless(message string) bool {
	switch message {
	case "simple token is not cryptographically signed", // users of etcd's own are not used
		"scheme is http or unix while key and cert files are present; ignoring key and cert files",
		"scheme is http or unix while --client-cert-auth is enabled; ignoring client cert auth for this URL",
		"Failed to detect schema version", "failed to update storage version", // of a data folder that is new
		"setting up serving from embedded etcd failed.", // of each listener at a stop; otherwise RunEtcd returns it
		"request stats": // said again of each slow request
		return true
	}
	return false
}

// zapBridge is a zapcore.Core over a slog.Logger.
type zapBridge struct{ log *slog.Logger }

// level is ours for theirs.
func level(l zapcore.Level) slog.Level {
	if l >= zapcore.WarnLevel {
		return slog.LevelWarn
	}
	return slog.LevelDebug
}

// Enabled leaves out etcd's own debugging, which is per request.
func (b *zapBridge) Enabled(l zapcore.Level) bool {
	return l >= zapcore.InfoLevel && b.log.Enabled(context.Background(), level(l))
}

// With adds fields to all that follows.
func (b *zapBridge) With(fields []zapcore.Field) zapcore.Core {
	return &zapBridge{log: b.log.With(attrs(fields)...)}
}

// Check takes an entry whose level is enabled.
func (b *zapBridge) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if b.Enabled(e.Level) {
		return ce.AddCore(e, b)
	}
	return ce
}

// Write logs an entry.
func (b *zapBridge) Write(e zapcore.Entry, fields []zapcore.Field) error {
	l := level(e.Level)
	if harmless(e.Message) {
		l = slog.LevelDebug
	}
	b.log.Log(context.Background(), l, e.Message, attrs(fields)...)
	return nil
}

// Sync has nothing to do.
func (b *zapBridge) Sync() error { return nil }

// attrs are the fields as slog takes them.
func attrs(fields []zapcore.Field) []any {
	enc := zapcore.NewMapObjectEncoder()
	out := make([]any, 0, len(fields))
	for _, f := range fields {
		f.AddTo(enc)
		if v, ok := enc.Fields[f.Key]; ok {
			out = append(out, slog.Any(f.Key, v))
		}
	}
	return out
}
