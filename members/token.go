package members

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// A token's text is FLT1-<id>-<secret>-<CA fingerprint>-<expiry>-<checksum>, each part in
// base32 without padding, lower case. The fingerprint (its first 16 bytes) lets
// who joins know the cluster's CA before anything is sent; the expiry is there for
// clear messages, it is the store's lease that ends a token.
const (
	tokenPrefix = "FLT1"
	pinSize     = 16
)

// errToken is the cause of every complaint about a token's text.
var errToken = errors.New("join token")

// ErrTokenExpired is wrapped by the message about a token whose time is over.
var ErrTokenExpired = errors.New("join token expired")

// Token lets one host join once.
type Token struct {
	ID      string // public, names the token in lists and logs
	Expires time.Time
	secret  [16]byte
	pin     [pinSize]byte
}

// NewToken makes a token for the cluster of a CA. Store Hash, show Text once.
func NewToken(ca Fingerprint, expires time.Time) (Token, error) {
	var id [5]byte
	t := Token{Expires: expires.Truncate(time.Second).UTC()}
	if _, err := rand.Read(id[:]); err != nil {
		return Token{}, fmt.Errorf("make token: %w", err)
	}
	if _, err := rand.Read(t.secret[:]); err != nil {
		return Token{}, fmt.Errorf("make token: %w", err)
	}
	t.ID = encode32(id[:])
	copy(t.pin[:], ca[:])
	return t, nil
}

// Text is the whole token, secret included: for the person who will join a host.
func (t Token) Text() string {
	var exp [8]byte
	binary.BigEndian.PutUint64(exp[:], uint64(t.Expires.Unix()))
	body := strings.Join([]string{tokenPrefix, t.ID, encode32(t.secret[:]), encode32(t.pin[:]), encode32(exp[3:])}, "-")
	return body + "-" + checksum(body)
}

// String is the token without its secret.
func (t Token) String() string { return "token " + t.ID }

// LogValue keeps the secret out of logs.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.ID) }

// Hash is what the store keeps of the secret.
func (t Token) Hash() string {
	h := sha256.Sum256(t.secret[:])
	return hex.EncodeToString(h[:])
}

// Verify says whether the secret is the one that was hashed.
func (t Token) Verify(hash string) bool {
	return subtle.ConstantTimeCompare([]byte(t.Hash()), []byte(hash)) == 1
}

// Pins says whether the token was made for the cluster of this CA.
func (t Token) Pins(ca Fingerprint) bool {
	return subtle.ConstantTimeCompare(t.pin[:], ca[:pinSize]) == 1
}

// ParseToken reads a token's text; blanks around it and its case do not matter.
func ParseToken(text string) (Token, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return Token{}, badToken("is empty", "make one with 'flotilla token' on an etcd member")
	}
	parts := strings.Split(text, "-")
	if !strings.EqualFold(parts[0], tokenPrefix) {
		return Token{}, badToken(fmt.Sprintf("does not begin with %s-", tokenPrefix), "copy the whole line that 'flotilla token' printed")
	}
	sizes := []int{5, 16, pinSize, 5, 5}
	const again = "copy it again, whole"
	if len(parts) > len(sizes)+1 {
		return Token{}, badToken(fmt.Sprintf("has %d parts, want %d", len(parts), len(sizes)+1), again)
	}
	var raw [][]byte
	for i, p := range parts[1:] {
		b, err := encoding32().DecodeString(strings.ToUpper(p))
		if err != nil && len(p) == encoding32().EncodedLen(sizes[i]) {
			return Token{}, badToken(fmt.Sprintf("has a character in part %d that no token has", i+2), again)
		}
		if len(p) > encoding32().EncodedLen(sizes[i]) {
			return Token{}, badToken(fmt.Sprintf("is too long in part %d", i+2), again)
		}
		if len(b) < sizes[i] {
			return Token{}, badToken("is cut off", again)
		}
		raw = append(raw, b)
	}
	if len(raw) < len(sizes) {
		return Token{}, badToken("is cut off", again)
	}
	body := tokenPrefix + "-" + strings.ToLower(strings.Join(parts[1:len(parts)-1], "-"))
	if checksum(body) != strings.ToLower(parts[len(parts)-1]) {
		return Token{}, badToken("has a wrong checksum", again)
	}
	exp := binary.BigEndian.Uint64(append([]byte{0, 0, 0}, raw[3]...))
	t := Token{ID: encode32(raw[0]), Expires: time.Unix(int64(exp), 0).UTC()}
	copy(t.secret[:], raw[1])
	copy(t.pin[:], raw[2])
	return t, nil
}

// expired is the message for a token that the store no longer knows.
func (t Token) expired() error {
	return &Problem{What: fmt.Sprintf("%s expired on %s", t, date(t.Expires)), Hint: "make a new one with 'flotilla token' on an etcd member", Err: ErrTokenExpired}
}

func badToken(what, hint string) error {
	return &Problem{What: errToken.Error() + " " + what, Hint: hint, Err: errToken}
}

// checksum finds slips of the hand; it protects nothing.
func checksum(body string) string {
	h := sha256.Sum256([]byte(body))
	return encode32(h[:5])
}

func encode32(b []byte) string { return strings.ToLower(encoding32().EncodeToString(b)) }

func encoding32() *base32.Encoding { return base32.StdEncoding.WithPadding(base32.NoPadding) }
