package cluster

import "testing"

func TestReserve(t *testing.T) {
	const gigabyte = 1 << 30
	for _, tt := range []struct {
		text   string
		memory int64
		want   int64
	}{
		{"", 2 * gigabyte, 256 << 20},
		{"", 100 * gigabyte, 5 * gigabyte},
		{"", 0, 256 << 20},
		{"0", 2 * gigabyte, 0},
		{"10%", 10 * gigabyte, gigabyte},
		{"2.5%", 40 * gigabyte, gigabyte},
		{"1%", 100 << 20, 1 << 20},
		{"100%", gigabyte, gigabyte},
		{"512M", gigabyte, 512 << 20},
		{"2G", gigabyte, 2 * gigabyte},
		{"1.5G", gigabyte, gigabyte * 3 / 2},
		{"4096", gigabyte, 4096},
		{"64K", gigabyte, 64 << 10},
		{"1T", gigabyte, 1 << 40},
	} {
		r, err := ParseReserve(tt.text)
		if got := r.Of(tt.memory); err != nil || got != tt.want {
			t.Errorf("ParseReserve(%q).Of(%d) = %d, %v, want %d", tt.text, tt.memory, got, err, tt.want)
		}
	}
}

func TestBadReserve(t *testing.T) {
	for _, text := range []string{"x", "-1", "-5%", "101%", "%", "M", "5 %", "1e3", "1X", "2GB", "NaN", "Inf", "+1", "9999999999T", " 1G", "1,5G", "0x10"} {
		if r, err := ParseReserve(text); err == nil {
			t.Errorf("ParseReserve(%q) = %v, want an error", text, r)
		}
	}
}
