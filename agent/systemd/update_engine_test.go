package systemd

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// updater answers as update_engine does on com.coreos.update1.
type updater struct {
	mu        sync.Mutex
	operation string
	asked     int
}

func (e *updater) GetStatus() (int64, float64, string, string, int64, *dbus.Error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.asked++
	return 1700000000, 0.5, e.operation, "4230.2.1", 400 << 20, nil
}

func (e *updater) set(operation string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.operation = operation
}

// TestUpdateEngine: its status is asked, its signal heard, its absence is no error, and it is not started by
// being asked.
func TestUpdateEngine(t *testing.T) {
	address := privateBus(t)
	u := NewUpdateEngine(Options{Address: address})
	defer u.Close()
	if op, version, present, err := u.Status(t.Context()); op != "" || version != "" || present || err != nil {
		t.Errorf("Status() without it = %q, %q, %t, %v, want absent", op, version, present, err)
	}
	changed := u.Changed(t.Context())
	stand := newStandIn(t, address, updateService)
	e := &updater{operation: "UPDATE_STATUS_IDLE"}
	stand.export(e, updatePath, updateFace)
	if op, version, present, err := u.Status(t.Context()); op != "UPDATE_STATUS_IDLE" || version != "4230.2.1" || !present || err != nil {
		t.Errorf("Status() = %q, %q, %t, %v, want idle", op, version, present, err)
	}
	e.set("UPDATE_STATUS_UPDATED_NEED_REBOOT")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	heard := false
	for !heard { // the listener may not listen yet
		stand.emit(updatePath, updateFace+".StatusUpdate", int64(1700000000), 1.0, "UPDATE_STATUS_UPDATED_NEED_REBOOT", "4230.2.1", int64(0))
		select {
		case <-changed:
			heard = true
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			t.Fatal("the signal was never heard")
		}
	}
	if op, _, _, err := u.Status(t.Context()); op != "UPDATE_STATUS_UPDATED_NEED_REBOOT" || err != nil {
		t.Errorf("Status() after the update = %q, %v", op, err)
	}
}

// TestUpdateStatus: a status that is not the documented one is an error, not an answer.
func TestUpdateStatus(t *testing.T) {
	for _, c := range []struct {
		body []any
		want string
	}{
		{nil, "0 values"},
		{[]any{int64(1), 1.0, "UPDATE_STATUS_IDLE", "1"}, "4 values"},
		{[]any{int64(1), 1.0, int64(3), "1", int64(0)}, "int64"},
		{[]any{int64(1), 1.0, "UPDATE_STATUS_IDLE", nil, int64(0)}, "two texts"},
	} {
		if _, _, err := updateStatus(c.body); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("updateStatus(%v) = %v, want an error about %s", c.body, err, c.want)
		}
	}
}
