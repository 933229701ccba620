package cluster

// LeaderInfo is what a candidate says of itself (key leader).
type LeaderInfo struct {
	Host    HostID `json:"host"`
	Address string `json:"address"` // host:port of its API
	Version string `json:"version"` // of flotilla
}
