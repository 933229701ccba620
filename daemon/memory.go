package daemon

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// When the pages of the binary are given back: once this process has started, then now and
// then, after what came in between.
const (
	shedFirst = 10 * time.Second
	shedEvery = time.Minute
)

// ShedStart gives back the pages of the binary that are in use no longer, until ctx ends. The
// kernel maps nearly all of them while a process starts, and many in a burst of work; what is still
// in use comes back from the page cache by itself, a few hundred soft faults.
func ShedStart(ctx context.Context, log *slog.Logger) {
	t := time.NewTimer(shedFirst)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if err := shed(); err != nil {
			log.Debug("give back pages of the binary", "err", err)
			return
		}
		t.Reset(shedEvery)
	}
}

// shed drops the mapped pages of this binary's read-only segments.
func shed() error {
	self, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return fmt.Errorf("find the binary: %w", err)
	}
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return fmt.Errorf("read the memory map: %w", err)
	}
	defer maps.Close()
	lines := bufio.NewScanner(maps)
	for lines.Scan() {
		var from, to uintptr
		var mode string
		line := lines.Text()
		if !strings.HasSuffix(line, " "+self) {
			continue
		}
		if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &mode); err != nil {
			return fmt.Errorf("read the memory map: %q: %w", line, err)
		}
		if !strings.HasPrefix(mode, "r") || strings.Contains(mode, "w") { // what may be written is not in the file
			continue
		}
		if _, _, no := unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_DONTNEED); no != 0 {
			return fmt.Errorf("madvise %s: %w", mode, no)
		}
	}
	return lines.Err()
}
