package systemd

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
)

// maxField limits one field of a journal entry. Larger ones are read and thrown away.
const maxField = 1 << 20

// ErrExport says that a stream is not in the journal's export format.
var ErrExport = errors.New("not the journal's export format")

// LogEntry is one entry of the journal.
type LogEntry struct {
	Time         time.Time
	Monotonic    time.Duration // since the boot
	Unit         string        // that the line came from or, for systemd's own lines, is about
	Identifier   string        // the name a process logs under
	Priority     int           // 0 emergency to 7 debug; 6 if the line has none
	PID          int
	Message      []byte // any bytes
	BootID       string
	InvocationID string
	Cursor       string // where to go on after
}

// exportReader reads entries of the journal's export format: lines FIELD=value,
// or FIELD and a length of 64 bits before raw bytes; an empty line ends an entry.
type exportReader struct {
	in *bufio.Reader
}

func newExportReader(r io.Reader) *exportReader {
	return &exportReader{in: bufio.NewReaderSize(r, 64<<10)}
}

// next returns the next entry, or io.EOF. An entry that is cut off at the end is
// io.ErrUnexpectedEOF.
func (x *exportReader) next() (LogEntry, error) {
	entry := draft{LogEntry: LogEntry{Priority: 6}}
	for fields := 0; ; {
		line, err := x.line()
		if err != nil {
			if errors.Is(err, io.EOF) && (fields > 0 || len(line) > 0) {
				return LogEntry{}, io.ErrUnexpectedEOF
			}
			return LogEntry{}, err
		}
		if len(line) == 0 {
			if fields > 0 {
				return entry.LogEntry, nil
			}
			continue // empty lines between entries
		}
		fields++
		name, value, text := bytes.Cut(line, []byte{'='})
		if !text {
			if value, err = x.binary(); err != nil {
				return LogEntry{}, err
			}
		}
		entry.set(string(name), value)
	}
}

// line reads up to a newline, which it takes off. What is beyond maxField is dropped.
func (x *exportReader) line() ([]byte, error) {
	var line []byte
	for {
		part, err := x.in.ReadSlice('\n')
		text, ended := bytes.CutSuffix(part, []byte{'\n'})
		line = append(line, text[:min(len(text), maxField-len(line))]...)
		switch {
		case ended:
			return line, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return line, err
		}
	}
}

// binary reads a field's length, its bytes and the newline after them.
func (x *exportReader) binary() ([]byte, error) {
	var size [8]byte
	if _, err := io.ReadFull(x.in, size[:]); err != nil {
		return nil, cutOff(err)
	}
	length := binary.LittleEndian.Uint64(size[:])
	if length > 1<<40 {
		return nil, fmt.Errorf("%w: a field of %d bytes", ErrExport, length)
	}
	var value bytes.Buffer // grows with what arrives, not with what is promised
	if _, err := io.CopyN(&value, x.in, int64(min(length, maxField))); err != nil {
		return nil, cutOff(err)
	}
	if length > maxField {
		if _, err := io.CopyN(io.Discard, x.in, int64(length-maxField)); err != nil {
			return nil, cutOff(err)
		}
	}
	end, err := x.in.ReadByte()
	if err != nil {
		return nil, cutOff(err)
	}
	if end != '\n' {
		return nil, fmt.Errorf("%w: no newline after a binary field", ErrExport)
	}
	return value.Bytes(), nil
}

func cutOff(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// draft is an entry that is being read.
type draft struct {
	LogEntry
	unitRank int // of the field that Unit is from
}

// set takes in one field. What systemd says about a unit belongs to that unit, and
// a line of a user's unit to it, not to the user's systemd.
func (e *draft) set(name string, value []byte) {
	switch name {
	case "MESSAGE":
		e.Message = bytes.Clone(value)
	case "PRIORITY":
		if p, err := strconv.Atoi(string(value)); err == nil && p >= 0 && p <= 7 {
			e.Priority = p
		}
	case "_PID":
		if pid, err := strconv.Atoi(string(value)); err == nil && pid > 0 {
			e.PID = pid
		}
	case "UNIT", "USER_UNIT":
		e.unit(3, value)
	case "_SYSTEMD_USER_UNIT":
		e.unit(2, value)
	case "_SYSTEMD_UNIT":
		e.unit(1, value)
	case "INVOCATION_ID", "USER_INVOCATION_ID":
		e.InvocationID = string(value)
	case "_SYSTEMD_INVOCATION_ID":
		if e.InvocationID == "" {
			e.InvocationID = string(value)
		}
	case "SYSLOG_IDENTIFIER":
		e.Identifier = string(value)
	case "_BOOT_ID":
		e.BootID = string(value)
	case "__CURSOR":
		e.Cursor = string(value)
	case "__REALTIME_TIMESTAMP":
		if us, err := strconv.ParseInt(string(value), 10, 64); err == nil {
			e.Time = time.UnixMicro(us)
		}
	case "__MONOTONIC_TIMESTAMP":
		if us, err := strconv.ParseInt(string(value), 10, 64); err == nil {
			e.Monotonic = time.Duration(us) * time.Microsecond
		}
	}
}

func (e *draft) unit(rank int, name []byte) {
	if rank >= e.unitRank {
		e.unitRank, e.Unit = rank, string(name)
	}
}
