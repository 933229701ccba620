package calendar

import (
	"errors"
	"strings"
	"time"
)

// ErrNoZone says that a text names no time zone.
var ErrNoZone = errors.New("no time zone of the IANA database, as Europe/Berlin is, or UTC")

// LoadZone finds the zone of a name in the IANA database. "UTC" may be written in any case. Names that mean
// another zone on another host, or are no names of IANA, are refused.
func LoadZone(name string) (*time.Location, error) {
	if strings.EqualFold(name, "UTC") {
		return time.UTC, nil
	}
	switch first, _, _ := strings.Cut(name, "/"); first {
	case "", "Local", "localtime", "posixrules", "posix", "right":
		return nil, ErrNoZone
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, ErrNoZone
	}
	return zone, nil
}
