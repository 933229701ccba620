package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"flotilla/cluster"
	"flotilla/cluster/store"
	"flotilla/cluster/store/memory"
	"flotilla/leader"
	"flotilla/members"
)

func TestInOrderBeginsWithTheMemberHere(t *testing.T) {
	all := []string{"https://10.0.0.1:7118", "https://10.0.0.2:7118", "https://10.0.0.3:7118"}
	member := members.Config{Address: "10.0.0.2", Etcd: members.EtcdMember{Member: true, ClientPort: 7118}}
	for _, known := range [][]string{all, all[:1], nil} {
		got := inOrder(member, known)
		if len(got) == 0 || got[0] != "https://10.0.0.2:7118" {
			t.Errorf("inOrder(%v) = %v, want the member on this host first", known, got)
		}
		for _, k := range known {
			if n := count(got, k); n != 1 {
				t.Errorf("inOrder(%v) = %v, want %s once, got it %d times", known, got, k, n)
			}
		}
	}
	client := members.Config{Address: "10.0.0.2"}
	got := inOrder(client, all)
	slices.Sort(got)
	if !slices.Equal(got, all) {
		t.Errorf("inOrder(%v) for a client = %v, want the same members", all, got)
	}
}

func count(list []string, s string) int {
	n := 0
	for _, x := range list {
		if x == s {
			n++
		}
	}
	return n
}

func TestExternalOptionsSayWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.crt")
	if err := os.WriteFile(empty, []byte("no pem"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		etcd members.ExternalEtcd
		want string
	}{
		{"no password file", members.ExternalEtcd{Endpoints: []string{"https://e:1"}, PasswordFile: dir + "/none"}, "read the etcd password"},
		{"no CA file", members.ExternalEtcd{Endpoints: []string{"https://e:1"}, CA: dir + "/none"}, "read the etcd CA"},
		{"CA without a certificate", members.ExternalEtcd{Endpoints: []string{"https://e:1"}, CA: empty}, "give the CA of your etcd"},
		{"no key", members.ExternalEtcd{Endpoints: []string{"https://e:1"}, Cert: empty, Key: dir + "/none"}, "load the etcd client certificate"},
	} {
		if _, err := externalOptions(c.etcd, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: externalOptions() = %v, want an error with %q", c.name, err, c.want)
		}
	}
	plain, err := externalOptions(members.ExternalEtcd{Endpoints: []string{"http://127.0.0.1:1"}, Username: "u"}, nil)
	if err != nil || plain.TLS != nil || plain.Username != "u" {
		t.Errorf("externalOptions() of plain loopback = %+v, %v, want no TLS and the user", plain, err)
	}
}

func TestClassify(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{store.ErrNotFound, http.StatusNotFound},
		{fmt.Errorf("unit web.service: %w", store.ErrConflict), http.StatusConflict},
		{store.ErrForeignStore, http.StatusServiceUnavailable},
		{fmt.Errorf("put: %w", context.DeadlineExceeded), http.StatusServiceUnavailable},
		{errors.New("surprise"), http.StatusInternalServerError},
	} {
		if got, _ := classify(c.err); got != c.want {
			t.Errorf("classify(%v) = %d, want %d", c.err, got, c.want)
		}
	}
}

// TestLeaderHearsItsOwnWords: the leader compares errors of its own, so the store's must
// arrive as those.
func TestLeaderHearsItsOwnWords(t *testing.T) {
	for _, c := range []struct{ in, want error }{
		{store.ErrStale, leader.ErrStale}, {store.ErrBadOrders, leader.ErrBad}, {store.ErrDeposed, leader.ErrOver}, {store.ErrForeignStore, leader.ErrOver},
	} {
		if got := leaderError(fmt.Errorf("apply: %w", c.in)); !errors.Is(got, c.want) {
			t.Errorf("leaderError(%v) = %v, want %v", c.in, got, c.want)
		}
	}
}

// TestAdmits: the address beside a token must be that of a host which can admit.
func TestAdmits(t *testing.T) {
	key := filepath.Join(t.TempDir(), "ca.key")
	if err := os.WriteFile(key, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	endpoints := []string{"https://10.0.0.1:7118", "https://10.0.0.2:7118"}
	here := members.Config{Address: "10.0.0.9", APIPort: 7117, Endpoints: endpoints}
	signer := here
	signer.PKI.CAKey = key
	alone := here
	alone.Endpoints = nil
	for _, c := range []struct {
		name   string
		config members.Config
		leader string
		want   string
	}{
		{"with the key", signer, "10.0.0.2:7117", "10.0.0.9:7117"},
		{"without it", here, "", "10.0.0.1:7117"},
		{"without it, leader known", here, "10.0.0.2:7117", "10.0.0.2:7117"},
		{"leader without it", here, "10.0.0.3:7117", "10.0.0.1:7117"},
		{"knows none", alone, "10.0.0.3:7117", ""},
	} {
		d := &Daemon{opt: Options{Config: c.config}, leads: leads{last: cluster.LeaderInfo{Address: c.leader}, read: time.Now().Add(time.Hour)}}
		got, err := d.admits(t.Context())
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: admits() = %q, %v, want %q", c.name, got, err, c.want)
		}
	}
}

// TestRemoved: a host without a mirror asks the store, and remembers the answer for a while.
func TestRemoved(t *testing.T) {
	ctx := t.Context()
	backend := memory.New(memory.Options{Kind: true})
	t.Cleanup(backend.Close)
	st := store.New(backend, "", store.Options{})
	if _, err := st.Init(ctx); err != nil {
		t.Fatal(err)
	}
	gone, here := cluster.HostID(strings.Repeat("a", 32)), cluster.HostID(strings.Repeat("b", 32))
	if _, _, err := st.EditHostSpec(ctx, gone, 0, func(h *cluster.HostSpec) error {
		h.Removed = &cluster.Note{Who: "x"}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	d := &Daemon{store: st}
	for id, want := range map[cluster.HostID]bool{gone: true, here: false} {
		if got, err := d.removed(ctx, id); got != want || err != nil {
			t.Errorf("removed(%s) = %v, %v, want %v", id.Short(), got, err, want)
		}
	}
	d.store = nil
	if !d.isRemoved(ctx, gone) || d.isRemoved(ctx, here) {
		t.Error("the last word is not remembered")
	}
}

// TestLogsOfTheDaemons: what etcd says on a host belongs to the host's lines.
func TestLogsOfTheDaemons(t *testing.T) {
	own := logOptions("", 0, true)
	if got := append([]string{own.Unit}, own.Also...); !slices.Equal(got, []string{members.ServiceAgent, members.ServiceEtcd}) || own.Lines != -1 || !own.Follow {
		t.Errorf("logOptions of the daemons = %+v, want agent and etcd, what comes", own)
	}
	if one := logOptions("a.service", 5, false); one.Unit != "a.service" || len(one.Also) != 0 || one.Lines != 5 {
		t.Errorf("logOptions of a unit = %+v, want it alone", one)
	}
}
