package fake

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"flotilla/agent/systemd"
)

const testImage = "docker.io/x:1"

// TestImages: who waits for a pull may go, the next joins it, and a pull that failed says its last line.
func TestImages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(Options{PullTime: Range{time.Minute, time.Minute}})
		images := systemd.NewImages(h, h, h)
		has := func(want bool) {
			t.Helper()
			if got, err := images.HasImage(t.Context(), "podman", testImage); err != nil || got != want {
				t.Errorf("HasImage = %t, %v, want %t", got, err, want)
			}
		}
		has(false)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := images.PullImage(ctx, "podman", testImage); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("PullImage with a short context = %v, want DeadlineExceeded", err)
		}
		h.RegistryAway(true)
		next := systemd.NewImages(h, h, h)
		if err := next.PullImage(t.Context(), "podman", testImage); err == nil || err.Error() != "Error: the registry cannot be reached" {
			t.Errorf("PullImage without a registry = %v, want its last line", err)
		}
		has(false)
		h.RegistryAway(false)
		if err := next.PullImage(t.Context(), "podman", testImage); err != nil {
			t.Errorf("PullImage after one that failed = %v", err)
		}
		has(true)
		h.Reboot()
		has(true)
		if n := started(h, systemd.PullUnit("podman", testImage)); n != 2 {
			t.Errorf("%d pulls were started, want 2: one was joined", n)
		}
	})
}

// TestManyPulls: one image is pulled once however many ask, and each image beside the others.
func TestManyPulls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(Options{PullTime: Range{time.Minute, time.Minute}})
		images := systemd.NewImages(h, h, h)
		began, ends := time.Now(), make(chan error)
		for _, ref := range []string{"a:1", "a:1", "a:1", "b:1", "c:1"} {
			go func() { ends <- images.PullImage(t.Context(), "docker", ref) }()
		}
		for range 5 {
			if err := <-ends; err != nil {
				t.Error(err)
			}
		}
		if took := time.Since(began); took != time.Minute {
			t.Errorf("five pulls of a minute took %s, want them side by side", took)
		}
		if n := started(h, systemd.PullUnit("docker", "a:1")); n != 1 {
			t.Errorf("a:1 was pulled %d times, want once", n)
		}
	})
}

func started(h *Host, unit string) (n int) {
	for _, e := range h.Events() {
		if e.Op == "start" && e.Unit == unit {
			n++
		}
	}
	return n
}

func TestBadImageNames(t *testing.T) {
	h := New(Options{})
	for _, ref := range []string{"", "-x", "a b", "$HOME", "a%n", "a\nb"} {
		if err := systemd.NewImages(h, h, h).PullImage(t.Context(), "podman", ref); err == nil || !strings.Contains(err.Error(), "not the name of an image") {
			t.Errorf("PullImage(%q) = %v, want it refused", ref, err)
		}
	}
	if len(h.Events()) != 0 {
		t.Errorf("events = %v, want none", h.Events())
	}
}
