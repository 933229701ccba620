package cluster

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Reserve is how much of a host's memory units may not have: the system and flotilla live
// there. The zero value stands for the default.
type Reserve struct {
	amount  float64 // bytes or percent
	percent bool
	given   bool
}

// The default: a part of the memory, and enough for a small host's own services.
const (
	reservePercent = 5
	reserveLeast   = 256 << 20 // bytes
)

// ParseReserve reads a size in bytes, with K, M, G or T for powers of 1024 as systemd writes it, or a percentage.
// The empty text is the default.
func ParseReserve(text string) (Reserve, error) {
	if text == "" {
		return Reserve{}, nil
	}
	number, percent := strings.CutSuffix(text, "%")
	factor := 1.0
	if n := len(number) - 1; n >= 0 && !percent {
		if power := strings.IndexByte("BKMGT", number[n]); power >= 0 {
			number, factor = number[:n], math.Pow(1024, float64(power))
		}
	}
	v, err := strconv.ParseFloat(number, 64)
	plain := strings.Trim(number, "0123456789.") == ""
	if err != nil || !plain || percent && v > 100 || v*factor >= 1<<62 {
		return Reserve{}, fmt.Errorf("%q is neither memory such as 512M or 2G nor a percentage such as 5%%", text)
	}
	return Reserve{amount: v * factor, percent: percent, given: true}, nil
}

// Of is the reserve of a host with so much memory, in bytes. It may be more than all.
func (r Reserve) Of(memory int64) int64 {
	switch {
	case !r.given:
		return max(memory*reservePercent/100, reserveLeast)
	case r.percent:
		return int64(float64(memory) / 100 * r.amount)
	}
	return int64(r.amount)
}
