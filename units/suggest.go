package units

import "strings"

// Suggest returns the word of known that the writer of got most likely meant,
// or "" when none is near. Ties go to the first of known.
func Suggest(got string, known []string) string {
	got = strings.ToLower(got)
	if len(got) > maxShown {
		return ""
	}
	best, bestDistance := "", 1+max(2, len(got)/3)
	if len(got) < 4 {
		bestDistance = 2
	}
	for _, k := range known {
		low := strings.ToLower(k)
		d := distance(got, low)
		if len(got) >= 4 && (strings.HasPrefix(low, got) || strings.HasPrefix(got, low)) {
			d = min(d, 1)
		}
		if d < bestDistance {
			best, bestDistance = k, d
		}
	}
	return best
}

// Typo returns the word of known that got is a slip of the keyboard away from, or begins: the same
// first letter, at most two edits, and fewer than half of got's letters. "" when there is none. Ties go to the first.
func Typo(got string, known []string) string {
	got = strings.ToLower(got)
	best, bestDistance := "", 3
	for _, k := range known {
		if got == "" || len(got) > maxShown || got[0] != k[0] {
			continue
		}
		d := distance(got, k)
		if len(got) >= 4 && strings.HasPrefix(k, got) {
			d = min(d, 1)
		}
		if d < bestDistance && 2*d < len(got) {
			best, bestDistance = k, d
		}
	}
	return best
}

// distance counts the single-byte edits between a and b (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}

// oneSlip reports whether one slip of the keyboard makes b of a: a byte too many, too few or wrong, or
// two neighbours exchanged.
func oneSlip(a, b string) bool {
	if distance(a, b) <= 1 {
		return true
	}
	for i := 1; i < len(a); i++ {
		if a[:i-1]+a[i:i+1]+a[i-1:i]+a[i+1:] == b {
			return true
		}
	}
	return false
}
