package daemon

import (
	"time"

	"flotilla/agent/reboots"
	"flotilla/members"
)

// rebootSources are the sources that a host's configuration names, or the usual ones.
func rebootSources(c members.RebootConfig) []reboots.Source {
	if c.Sources == nil {
		return reboots.Defaults()
	}
	out := make([]reboots.Source, len(c.Sources))
	for i, s := range c.Sources {
		out[i] = reboots.Source{
			File: s.File, Command: s.Command, Yes: s.Yes, No: s.No, Timeout: time.Duration(s.Timeout), Every: time.Duration(s.Every),
			UpdateEngine: s.UpdateEngine, RPMOSTree: s.RPMOSTree, Sysupdate: s.Sysupdate, NeedsRestarting: s.NeedsRestarting,
			OlderThan: time.Duration(s.OlderThanDays) * 24 * time.Hour,
		}
	}
	return out
}
