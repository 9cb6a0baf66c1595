package secret

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func keyring(t *testing.T) *Keyring {
	t.Helper()
	k, err := OpenKeyring(filepath.Join(t.TempDir(), "jackfield.key"), "")
	require.NoError(t, err)
	return k
}

// rows: L03, O43
func TestSealedValuesOpenInTheirPlaceAlone(t *testing.T) {
	t.Parallel()
	k := keyring(t)
	sealed, err := k.Seal([]byte(canary), "acme", "0011223344556677", "settings")
	require.NoError(t, err)
	require.NotContains(t, string(sealed), canary)
	again, err := k.Seal([]byte(canary), "acme", "0011223344556677", "settings")
	require.NoError(t, err)
	require.NotEqual(t, sealed, again, "each sealing has its nonce")
	open, err := k.Open(sealed, "acme", "0011223344556677", "settings")
	require.NoError(t, err)
	require.Equal(t, canary, string(open))

	for _, place := range [][]string{
		nil,
		{"acme"},
		{"beta", "0011223344556677", "settings"},
		{"acme", "0011223344556678", "settings"},
		{"acme", "0011223344556677", "patch"},
		{"acme", "0011223344556677settings"},
		{"acme0011223344556677", "", "settings"},
		{"acme", "0011223344556677", "settings", ""},
	} {
		_, err := k.Open(sealed, place...)
		require.ErrorIs(t, err, ErrNotSealed, "%q", place)
	}
	for i := range sealed {
		changed := append([]byte(nil), sealed...)
		changed[i] ^= 1
		_, err := k.Open(changed, "acme", "0011223344556677", "settings")
		require.Error(t, err, "byte %d", i)
		require.NotContains(t, err.Error(), canary)
	}
	for n := range sealed {
		_, err := k.Open(sealed[:n], "acme", "0011223344556677", "settings")
		require.ErrorIs(t, err, ErrNotSealed, "%d bytes", n)
	}
	other := keyring(t)
	_, err = other.Open(sealed, "acme", "0011223344556677", "settings")
	require.ErrorIs(t, err, ErrOtherKey)
	require.ErrorContains(t, err, k.ID())
	require.ErrorContains(t, err, other.ID())
}

func TestSumTellsSameFromOther(t *testing.T) {
	t.Parallel()
	k := keyring(t)
	sum := k.Sum([]byte("a"), "x")
	require.Equal(t, sum, k.Sum([]byte("a"), "x"))
	require.NotEqual(t, k.Sum([]byte("a"), "x"), k.Sum([]byte("b"), "x"))
	require.NotEqual(t, k.Sum([]byte("a"), "x"), k.Sum([]byte("a"), "y"))
	require.NotEqual(t, k.Sum([]byte("a"), "x"), k.Sum([]byte("xa")))
	require.NotEqual(t, k.Sum([]byte("a"), "x"), keyring(t).Sum([]byte("a"), "x"))
}

// TestFrame proves that two lists of parts never give the same bytes.
func TestFrame(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOf(rapid.StringMatching(`[ab\x00\x01]{0,3}`))
		a, b := parts.Draw(t, "a"), parts.Draw(t, "b")
		same := len(a) == len(b)
		for i := range a {
			same = same && a[i] == b[i]
		}
		if (string(frame(nil, a)) == string(frame(nil, b))) != same {
			t.Fatalf("%q and %q", a, b)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	k, err := OpenKeyring(filepath.Join(b.TempDir(), "jackfield.key"), "")
	require.NoError(b, err)
	for b.Loop() {
		sealed, err := k.Seal([]byte(canary), "acme", "uid", "settings")
		require.NoError(b, err)
		_, err = k.Open(sealed, "acme", "uid", "settings")
		require.NoError(b, err)
	}
}
