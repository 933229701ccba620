package systemd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

// exportFields are all that a LogEntry holds; journalctl leaves the others out.
const exportFields = "MESSAGE,PRIORITY,_PID,UNIT,USER_UNIT,_SYSTEMD_UNIT,_SYSTEMD_USER_UNIT," +
	"INVOCATION_ID,USER_INVOCATION_ID,_SYSTEMD_INVOCATION_ID,SYSLOG_IDENTIFIER"

// Journal reads the host's journal through a journalctl child: no library needed,
// and the export format carries any bytes.
type Journal struct {
	Command string // default "journalctl"
	User    bool   // units of the calling user's systemd
}

// LogOptions say which entries are wanted. Zero values are no limit.
type LogOptions struct {
	Unit   string    // empty: the whole host
	Also   []string  // more units, whose lines stand between that one's
	Lines  int       // the last that many; with Follow, before what comes; negative: none
	Follow bool      // go on until ctx ends
	Since  time.Time // at or after
	Boot   string    // a boot id; "0" this boot, "-1" the one before
	After  string    // a Cursor: only what comes after it
}

// Logs yields entries, oldest first. The child ends with ctx, when the caller
// stops, or when there are no more. An error comes last; the end of ctx is none.
func (j Journal) Logs(ctx context.Context, opts LogOptions) iter.Seq2[LogEntry, error] {
	return j.run(ctx, j.args(opts))
}

// LastLines returns the last n lines of one run of a unit, with what systemd said
// about it; of its last runs together if invocationID is empty.
func (j Journal) LastLines(ctx context.Context, unit, invocationID string, n int) ([]LogEntry, error) {
	args := j.args(LogOptions{Unit: unit, Lines: n})
	if invocationID != "" {
		about := "INVOCATION_ID="
		if j.User {
			about = "USER_INVOCATION_ID="
		}
		args = append(j.args(LogOptions{Lines: n}),
			"_SYSTEMD_INVOCATION_ID="+invocationID, "+", about+invocationID)
	}
	var lines []LogEntry
	for entry, err := range j.run(ctx, args) {
		if err != nil {
			return nil, err
		}
		lines = append(lines, entry)
	}
	return lines, ctx.Err()
}

func (j Journal) args(opts LogOptions) []string {
	args := []string{"--output=export", "--output-fields=" + exportFields, "--quiet", "--no-pager"}
	switch {
	case opts.Lines > 0:
		args = append(args, "--lines="+strconv.Itoa(opts.Lines))
	case opts.Lines < 0:
		args = append(args, "--lines=0")
	case opts.Follow:
		args = append(args, "--lines=all")
	}
	if opts.Follow {
		args = append(args, "--follow")
	}
	if !opts.Since.IsZero() {
		args = append(args, fmt.Sprintf("--since=@%d.%06d", opts.Since.Unix(), opts.Since.Nanosecond()/1000))
	}
	if opts.Boot != "" {
		args = append(args, "--boot="+opts.Boot)
	}
	if opts.After != "" {
		args = append(args, "--after-cursor="+opts.After)
	}
	match := "--unit="
	if j.User {
		match = "--user-unit="
	}
	for _, unit := range append([]string{opts.Unit}, opts.Also...) {
		if unit != "" {
			args = append(args, match+unit)
		}
	}
	return args
}

// run yields what one journalctl prints.
func (j Journal) run(ctx context.Context, args []string) iter.Seq2[LogEntry, error] {
	return func(yield func(LogEntry, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		cmd := exec.CommandContext(ctx, j.command(), args...)
		cmd.WaitDelay = time.Second
		var said tail
		cmd.Stderr = &said
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			yield(LogEntry{}, fmt.Errorf("read the journal: %w", err))
			return
		}
		wanted, err := drain(out, yield)
		if !wanted || ctx.Err() != nil { // killed by us: its status says nothing
			cancel()
			_ = cmd.Wait()
			return
		}
		if err != nil {
			cancel()
			_ = cmd.Wait()
			yield(LogEntry{}, fmt.Errorf("read the journal: %w", err))
			return
		}
		err = cmd.Wait()
		if ctx.Err() == nil && err != nil {
			yield(LogEntry{}, fmt.Errorf("read the journal: %w: %s", err, said.line()))
		}
	}
}

// drain yields entries until the stream ends (err nil) or the caller stops.
func drain(out io.Reader, yield func(LogEntry, error) bool) (wanted bool, err error) {
	entries := newExportReader(out)
	for {
		entry, err := entries.next()
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil {
			return true, err
		}
		if !yield(entry, nil) {
			return false, nil
		}
	}
}

func (j Journal) command() string {
	if j.Command == "" {
		return "journalctl"
	}
	return j.Command
}

// tail keeps the first kilobyte of what a child says on stderr.
type tail struct{ said []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.said = append(t.said, p[:min(len(p), 1024-len(t.said))]...)
	return len(p), nil
}

// line is what was said, on one line.
func (t *tail) line() string {
	lines := bytes.Split(bytes.TrimSpace(t.said), []byte{'\n'})
	words := make([]string, len(lines))
	for i, l := range lines {
		words[i] = strings.TrimSpace(string(l))
	}
	return strings.Join(slices.DeleteFunc(words, func(s string) bool { return s == "" }), "; ")
}
