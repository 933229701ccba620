package store

import (
	"strconv"
	"strings"

	"flotilla/cluster"
	"flotilla/units"
)

// DefaultPrefix stands before every key.
const DefaultPrefix = "/flotilla"

// keys builds and takes apart the keys under one prefix, which ends in a slash.
type keys struct{ prefix string }

func newKeys(prefix string) keys {
	prefix = strings.TrimRight(prefix, "/")
	if prefix == "" {
		prefix = DefaultPrefix
	}
	if !strings.HasPrefix(prefix, "/") {
		prefix = "/" + prefix
	}
	return keys{prefix + "/"}
}

func (k keys) store() string      { return k.prefix + "store" }
func (k keys) accepted() string   { return k.prefix + "accepted" }
func (k keys) failover() string   { return k.prefix + "failover" }
func (k keys) leader() string     { return k.prefix + "leader" }
func (k keys) barrier() string    { return k.prefix + "barrier" }
func (k keys) hostsEpoch() string { return k.prefix + "epoch/hosts" }
func (k keys) reboots() string    { return k.prefix + "reboots" }
func (k keys) notified() string   { return k.prefix + "notified" }

func (k keys) blobs() string                       { return k.prefix + "blob/" }
func (k keys) units() string                       { return k.prefix + "unit/" }
func (k keys) hosts() string                       { return k.prefix + "host/" }
func (k keys) infos() string                       { return k.prefix + "hostinfo/" }
func (k keys) alives() string                      { return k.prefix + "alive/" }
func (k keys) orders() string                      { return k.prefix + "to/" }
func (k keys) statuses() string                    { return k.prefix + "status/" }
func (k keys) orphans() string                     { return k.prefix + "orphan/" }
func (k keys) destroyedAll() string                { return k.prefix + "destroyed/" }
func (k keys) destroyed(u cluster.Unit) string     { return k.destroyedAll() + string(u) }
func (k keys) tokens() string                      { return k.prefix + "token/" }
func (k keys) blob(h units.Hash) string            { return k.blobs() + string(h) }
func (k keys) unit(u cluster.Unit) string          { return k.units() + string(u) }
func (k keys) host(id cluster.HostID) string       { return k.hosts() + string(id) }
func (k keys) info(id cluster.HostID) string       { return k.infos() + string(id) }
func (k keys) alive(id cluster.HostID) string      { return k.alives() + string(id) }
func (k keys) token(id string) string              { return k.tokens() + id }
func (k keys) to(id cluster.HostID) string         { return k.orders() + string(id) + "/" }
func (k keys) statusesOf(id cluster.HostID) string { return k.statuses() + string(id) + "/" }
func (k keys) place(w cluster.Where) string        { return k.to(w.Host) + "place/" + string(w.Unit) }
func (k keys) status(w cluster.Where) string       { return k.statusesOf(w.Host) + string(w.Unit) }
func (k keys) orphan(w cluster.Where) string {
	return k.orphans() + string(w.Host) + "/" + string(w.Unit)
}

func (k keys) groups() string                       { return k.prefix + "group/" }
func (k keys) windows() string                      { return k.prefix + "window/" }
func (k keys) bootings() string                     { return k.prefix + "boot/" }
func (k keys) histories() string                    { return k.prefix + "history/" }
func (k keys) group(name cluster.GroupName) string  { return k.groups() + name }
func (k keys) window(name cluster.GroupName) string { return k.windows() + name }
func (k keys) grant(id cluster.HostID) string       { return k.to(id) + "grant" }
func (k keys) booting(id cluster.HostID) string     { return k.bootings() + string(id) }
func (k keys) history(h cluster.HistoryKey) string {
	return k.histories() + string(h.Host) + "/" + strconv.FormatInt(h.Generation, 10)
}

func (k keys) unitOf(key string) cluster.Unit {
	return cluster.Unit(strings.TrimPrefix(key, k.units()))
}

func (k keys) blobOf(key string) units.Hash { return units.Hash(strings.TrimPrefix(key, k.blobs())) }

func (k keys) aliveOf(key string) cluster.HostID {
	return cluster.HostID(strings.TrimPrefix(key, k.alives()))
}
func (k keys) hostRange(id cluster.HostID) Range   { return Prefix(k.to(id)) }
func (k keys) statusRange(id cluster.HostID) Range { return Prefix(k.statusesOf(id)) }

// kind is what a key holds.
type kind int

const (
	kindOther kind = iota // a key of a later flotilla, or one that no snapshot holds
	kindStore
	kindFailover
	kindLeader
	kindHostsEpoch
	kindBlob
	kindUnit
	kindHost
	kindInfo
	kindAlive
	kindPlace
	kindStatus
	kindOrphan
	kindDestroyed
	kindReboots
	kindNotified
	kindGroup
	kindWindow
	kindGrant
	kindBooting
	kindHistory
)

// parsed is a key taken apart; which fields are set depends on the kind.
type parsed struct {
	kind kind
	host cluster.HostID
	unit cluster.Unit
	blob units.Hash
	name cluster.GroupName // of a group or window
	gen  int64             // of a record of the history
}

func (p parsed) history() cluster.HistoryKey {
	return cluster.HistoryKey{Host: p.host, Generation: p.gen}
}

func (p parsed) where() cluster.Where { return cluster.Where{Host: p.host, Unit: p.unit} }

// parse takes a key apart. Keys that this flotilla does not know are kindOther.
func (k keys) parse(key string) parsed {
	rest, ok := strings.CutPrefix(key, k.prefix)
	if !ok {
		return parsed{}
	}
	switch rest { // as the functions above put them together
	case "store":
		return parsed{kind: kindStore}
	case "failover":
		return parsed{kind: kindFailover}
	case "leader":
		return parsed{kind: kindLeader}
	case "epoch/hosts":
		return parsed{kind: kindHostsEpoch}
	case "reboots":
		return parsed{kind: kindReboots}
	case "notified":
		return parsed{kind: kindNotified}
	}
	folder, name, _ := strings.Cut(rest, "/")
	if name == "" {
		return parsed{}
	}
	return parseIn(folder, name)
}

func parseIn(folder, name string) parsed {
	first, second, two := strings.Cut(name, "/")
	host := cluster.HostID(first)
	switch {
	case folder == "blob" && !two:
		return parsed{kind: kindBlob, blob: units.Hash(name)}
	case folder == "unit" && !two:
		return parsed{kind: kindUnit, unit: cluster.Unit(name)}
	case folder == "host" && !two:
		return parsed{kind: kindHost, host: host}
	case folder == "hostinfo" && !two:
		return parsed{kind: kindInfo, host: host}
	case folder == "alive" && !two:
		return parsed{kind: kindAlive, host: host}
	case folder == "status" && two:
		return parsed{kind: kindStatus, host: host, unit: cluster.Unit(second)}
	case folder == "destroyed" && !two:
		return parsed{kind: kindDestroyed, unit: cluster.Unit(name)}
	case folder == "orphan" && two:
		return parsed{kind: kindOrphan, host: host, unit: cluster.Unit(second)}
	case folder == "group" && !two:
		return parsed{kind: kindGroup, name: name}
	case folder == "window" && !two:
		return parsed{kind: kindWindow, name: name}
	case folder == "boot" && !two:
		return parsed{kind: kindBooting, host: host}
	case folder == "history" && two:
		if gen, err := strconv.ParseInt(second, 10, 64); err == nil {
			return parsed{kind: kindHistory, host: host, gen: gen}
		}
	case folder == "to" && two:
		if second == "grant" {
			return parsed{kind: kindGrant, host: host}
		}
		if u, ok := strings.CutPrefix(second, "place/"); ok && u != "" {
			return parsed{kind: kindPlace, host: host, unit: cluster.Unit(u)}
		}
	}
	return parsed{}
}
