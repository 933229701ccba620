package members

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func mustToken(t *testing.T, ca Fingerprint, expires time.Time) Token {
	t.Helper()
	tok, err := NewToken(ca, expires)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func TestTokenRoundTrip(t *testing.T) {
	ca := Fingerprint{1, 2, 3, 31: 4}
	expires := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	tok := mustToken(t, ca, expires)
	for _, text := range []string{tok.Text(), " " + strings.ToUpper(tok.Text()) + "\n"} {
		got, err := ParseToken(text)
		if err != nil || got != tok {
			t.Errorf("ParseToken(%q) = %v, %v, want %v", text, got, err, tok)
		}
	}
	if !tok.Pins(ca) || tok.Pins(Fingerprint{9}) {
		t.Errorf("Pins: own %v, other %v, want true, false", tok.Pins(ca), tok.Pins(Fingerprint{9}))
	}
	other := mustToken(t, ca, expires)
	if !tok.Verify(tok.Hash()) || other.Verify(tok.Hash()) || tok.Verify("") {
		t.Error("Verify accepts another secret, or refuses its own")
	}
	secret := strings.Split(tok.Text(), "-")[2]
	for _, shown := range []string{tok.String(), fmt.Sprint(tok), slog.AnyValue(tok).Resolve().String(), tok.Hash()} {
		if strings.Contains(shown, secret) {
			t.Errorf("secret shows in %q", shown)
		}
	}
}

func TestParseTokenRefuses(t *testing.T) {
	good := mustToken(t, Fingerprint{1}, time.Unix(1767323045, 0)).Text()
	part := func(i int, change func(string) string) string {
		p := strings.Split(good, "-")
		p[i] = change(p[i])
		return strings.Join(p, "-")
	}
	cut := func(n int) func(string) string { return func(s string) string { return s[:len(s)-n] } }
	flip := func(s string) string {
		if s[0] == 'a' {
			return "b" + s[1:]
		}
		return "a" + s[1:]
	}
	tests := map[string]struct{ text, want string }{
		"empty":           {" ", "join token is empty (make one with 'flotilla token' on an etcd member)"},
		"other text":      {"hello", "join token does not begin with FLT1- (copy the whole line that 'flotilla token' printed)"},
		"other version":   {"FLT9" + good[4:], "join token does not begin with FLT1- (copy the whole line that 'flotilla token' printed)"},
		"prefix only":     {"FLT1", "join token is cut off (copy it again, whole)"},
		"last part gone":  {good[:strings.LastIndex(good, "-")], "join token is cut off (copy it again, whole)"},
		"last char gone":  {good[:len(good)-1], "join token is cut off (copy it again, whole)"},
		"half":            {good[:len(good)/2], "join token is cut off (copy it again, whole)"},
		"secret short":    {part(2, cut(3)), "join token is cut off (copy it again, whole)"},
		"part more":       {good + "-aa", "join token has 7 parts, want 6 (copy it again, whole)"},
		"part too long":   {part(3, func(s string) string { return s + "a" }), "join token is too long in part 4 (copy it again, whole)"},
		"bad character":   {part(2, func(s string) string { return "1" + s[1:] }), "join token has a character in part 3 that no token has (copy it again, whole)"},
		"blank inside":    {part(3, func(s string) string { return " " + s[1:] }), "join token has a character in part 4 that no token has (copy it again, whole)"},
		"secret changed":  {part(2, flip), "join token has a wrong checksum (copy it again, whole)"},
		"expiry changed":  {part(4, flip), "join token has a wrong checksum (copy it again, whole)"},
		"checksum change": {part(5, flip), "join token has a wrong checksum (copy it again, whole)"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := ParseToken(tt.text)
			if err == nil || err.Error() != tt.want || !errors.Is(err, errToken) {
				t.Errorf("ParseToken(%q) =\n%v\nwant\n%s", tt.text, err, tt.want)
			}
		})
	}
}

func FuzzParseToken(f *testing.F) {
	f.Add("FLT1-abcdefgh-aa")
	f.Add("FLT1-aaaaaaaa-aaaaaaaaaaaaaaaaaaaaaaaaaa-aaaaaaaaaaaaaaaaaaaaaaaaaa-aaaaaaaa-aaaaaaaa")
	f.Fuzz(func(t *testing.T, text string) {
		tok, err := ParseToken(text)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("ParseToken(%q) = %q, want one line", text, err)
			}
			return
		}
		if again, err := ParseToken(tok.Text()); err != nil || again != tok {
			t.Errorf("ParseToken(Text()) = %v, %v, want %v", again, err, tok)
		}
	})
}
