package systemd

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// field renders a binary field.
func field(name, value string) string {
	size := binary.LittleEndian.AppendUint64(nil, uint64(len(value)))
	return name + "\n" + string(size) + value + "\n"
}

func readAll(r io.Reader) ([]LogEntry, error) {
	x := newExportReader(r)
	var entries []LogEntry
	for {
		e, err := x.next()
		if errors.Is(err, io.EOF) {
			return entries, nil
		}
		if err != nil {
			return entries, err
		}
		entries = append(entries, e)
	}
}

func TestExport(t *testing.T) {
	whole := "__CURSOR=s=1;i=2\n__REALTIME_TIMESTAMP=1700000000000001\n__MONOTONIC_TIMESTAMP=1500000\n_BOOT_ID=b\n" +
		"PRIORITY=3\n_PID=42\n_SYSTEMD_UNIT=web.service\n_SYSTEMD_INVOCATION_ID=i\nSYSLOG_IDENTIFIER=web\nMESSAGE=a=b\n\n"
	wholeEntry := LogEntry{
		Time: time.UnixMicro(1700000000000001), Monotonic: 1500 * time.Millisecond, Unit: "web.service", Identifier: "web",
		Priority: 3, PID: 42, Message: []byte("a=b"), BootID: "b", InvocationID: "i", Cursor: "s=1;i=2",
	}
	message := func(m string) LogEntry { return LogEntry{Priority: 6, Message: []byte(m)} }
	long := strings.Repeat("x", 200_000)
	tests := []struct {
		name, in string
		want     []LogEntry
		err      error
	}{
		{"nothing", "", nil, nil},
		{"empty lines", "\n\n\n", nil, nil},
		{"one entry", whole, []LogEntry{wholeEntry}, nil},
		{"two entries", whole + "\n" + whole, []LogEntry{wholeEntry, wholeEntry}, nil},
		{"an empty message", "MESSAGE=\n\n", []LogEntry{message("")}, nil},
		{"a binary field", field("MESSAGE", "a\nb\x00\xff\n\nMESSAGE=c\n") + "\n", []LogEntry{message("a\nb\x00\xff\n\nMESSAGE=c\n")}, nil},
		{"an empty binary field", field("MESSAGE", "") + "\n", []LogEntry{message("")}, nil},
		{"long lines", "OTHER=" + long + "\nMESSAGE=" + long + "\n\n", []LogEntry{message(long)}, nil},
		{"a long binary field", field("MESSAGE", long+"\n") + "\n", []LogEntry{message(long + "\n")}, nil},
		{"too long a line", "MESSAGE=" + strings.Repeat("y", 2*maxField) + "\nPRIORITY=1\n\n", []LogEntry{
			{Priority: 1, Message: bytes.Repeat([]byte("y"), maxField-len("MESSAGE="))},
		}, nil},
		{"too long a binary field", field("MESSAGE", strings.Repeat("y", maxField+9)) + "PRIORITY=1\n\n", []LogEntry{
			{Priority: 1, Message: bytes.Repeat([]byte("y"), maxField)},
		}, nil},
		{"systemd's line about a unit", "_SYSTEMD_UNIT=init.scope\nUNIT=web.service\nINVOCATION_ID=i\n_SYSTEMD_INVOCATION_ID=j\n\n", []LogEntry{
			{Priority: 6, Unit: "web.service", InvocationID: "i"},
		}, nil},
		{"a user's unit", "_SYSTEMD_USER_UNIT=web.service\n_SYSTEMD_UNIT=user@1000.service\n\n", []LogEntry{{Priority: 6, Unit: "web.service"}}, nil},
		{"numbers that are none", "PRIORITY=9\n_PID=x\n__REALTIME_TIMESTAMP=\n\n", []LogEntry{{Priority: 6}}, nil},
		{"cut off between fields", whole + "MESSAGE=a\n", []LogEntry{wholeEntry}, io.ErrUnexpectedEOF},
		{"cut off in a line", whole + "MESS", []LogEntry{wholeEntry}, io.ErrUnexpectedEOF},
		{"cut off in a size", "MESSAGE\n\x01\x00", nil, io.ErrUnexpectedEOF},
		{"cut off in a binary field", "MESSAGE\n\x09\x00\x00\x00\x00\x00\x00\x00abc", nil, io.ErrUnexpectedEOF},
		{"a size beyond reason", "MESSAGE\n\xff\xff\xff\xff\xff\xff\xff\xff", nil, ErrExport},
		{"no newline after a binary field", field("MESSAGE", "a")[:17] + "x\n", nil, ErrExport},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			readers := []io.Reader{strings.NewReader(tt.in)}
			if len(tt.in) < maxField {
				readers = append(readers, iotest.OneByteReader(strings.NewReader(tt.in)))
			}
			for _, in := range readers {
				got, err := readAll(in)
				if !errors.Is(err, tt.err) {
					t.Errorf("error = %v, want %v", err, tt.err)
				}
				if diff := cmp.Diff(tt.want, got, cmp.Comparer(bytes.Equal)); diff != "" {
					t.Errorf("entries (-want +got):\n%s", diff)
				}
			}
		})
	}
}

// FuzzExport: whatever comes, the reader ends, and a message that it read can be
// written in binary form and read again.
func FuzzExport(f *testing.F) {
	f.Add([]byte("MESSAGE=a\n\n"))
	f.Add([]byte(field("MESSAGE", "a\nb") + "PRIORITY=3\n\n"))
	f.Add([]byte("MESSAGE\n\xff\xff\xff\xff\xff\x00\x00\x00a"))
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, _ := readAll(bytes.NewReader(data)) // an error is an answer too
		for _, e := range entries {
			again, err := readAll(strings.NewReader(field("MESSAGE", string(e.Message)) + "\n"))
			if err != nil || len(again) != 1 || !bytes.Equal(again[0].Message, e.Message) {
				t.Fatalf("message %q reads again as %v, %v", e.Message, again, err)
			}
		}
	})
}

func BenchmarkExport(b *testing.B) {
	entry := "__CURSOR=s=1;i=2\n__REALTIME_TIMESTAMP=1700000000000001\n_SYSTEMD_UNIT=web.service\nMESSAGE=" + strings.Repeat("m", 100) + "\n\n"
	in := strings.Repeat(entry, 1000)
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		if got, err := readAll(strings.NewReader(in)); err != nil || len(got) != 1000 {
			b.Fatalf("%d entries, %v", len(got), err)
		}
	}
}
