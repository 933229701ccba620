package store

import (
	"testing"

	"flotilla/cluster"
)

func TestKeys(t *testing.T) {
	const h = "0123456789abcdef0123456789abcdef"
	w := cluster.Where{Host: h, Unit: "web@1.service"}
	for _, prefix := range []string{"", "/flotilla/", "other", "/a/b"} {
		k := newKeys(prefix)
		tests := []struct {
			key  string
			want parsed
		}{
			{k.store(), parsed{kind: kindStore}},
			{k.failover(), parsed{kind: kindFailover}},
			{k.leader(), parsed{kind: kindLeader}},
			{k.hostsEpoch(), parsed{kind: kindHostsEpoch}},
			{k.blob("ab12"), parsed{kind: kindBlob, blob: "ab12"}},
			{k.unit(w.Unit), parsed{kind: kindUnit, unit: w.Unit}},
			{k.host(h), parsed{kind: kindHost, host: h}},
			{k.info(h), parsed{kind: kindInfo, host: h}},
			{k.alive(h), parsed{kind: kindAlive, host: h}},
			{k.place(w), parsed{kind: kindPlace, host: h, unit: w.Unit}},
			{k.status(w), parsed{kind: kindStatus, host: h, unit: w.Unit}},
			{k.orphan(w), parsed{kind: kindOrphan, host: h, unit: w.Unit}},
			{k.destroyed(w.Unit), parsed{kind: kindDestroyed, unit: w.Unit}},
			{k.token("x"), parsed{}},
			{k.accepted(), parsed{}},
			{k.barrier(), parsed{}},
			{k.grant(h), parsed{kind: kindGrant, host: h}},
			{k.booting(h), parsed{kind: kindBooting, host: h}},
			{k.reboots(), parsed{kind: kindReboots}},
			{k.notified(), parsed{kind: kindNotified}},
			{k.group("web"), parsed{kind: kindGroup, name: "web"}},
			{k.window("night"), parsed{kind: kindWindow, name: "night"}},
			{k.history(cluster.HistoryKey{Host: h, Generation: 7}), parsed{kind: kindHistory, host: h, gen: 7}},
			{k.prefix + "history/" + string(h) + "/x", parsed{}},
			{k.to(h) + "place/", parsed{}},
			{k.prefix + "unit/", parsed{}},
			{k.prefix + "unit/a/b", parsed{}},
			{k.prefix + "app/x/rev/1", parsed{}},
			{"/elsewhere/unit/x", parsed{}},
			{"", parsed{}},
		}
		for _, tt := range tests {
			if got := k.parse(tt.key); got != tt.want {
				t.Errorf("parse(%q) = got %+v, want %+v", tt.key, got, tt.want)
			}
		}
	}
}

func TestPackerLimits(t *testing.T) {
	p := newPacker(Compare{Key: "leader", Target: CreateRev, Rev: 1})
	n := 0
	for {
		key := string(rune('a'+n/26)) + string(rune('a'+n%26))
		if !p.add(n, item{If: []Compare{{Key: key, Target: ModRev}}, Then: []Op{{Key: key, Value: []byte("v")}}}) {
			break
		}
		n++
	}
	// One compare is the identity's, one the term's.
	if want := MaxCompares - 2; n != want {
		t.Errorf("packer took %d items, want %d", n, want)
	}
	full := p.txn(false)
	full.If = append(full.If, Compare{Key: "store", Target: Value})
	full.Else = append(full.Else, Range{Key: "store"})
	if err := full.Check(); err != nil {
		t.Errorf("Check of a full transaction = got %v, want none", err)
	}
	big := newPacker()
	for n = 0; big.add(n, item{Then: []Op{{Key: string(rune('a' + n)), Value: make([]byte, 100_000)}}}); n++ {
	}
	if err := big.txn(false).Check(); err != nil || n != 10 {
		t.Errorf("packer took %d items of 100,000 bytes (%v), want 10", n, err)
	}
}
