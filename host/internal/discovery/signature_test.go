package discovery

import (
	"bytes"
	"crypto/rand"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"aead.dev/minisign"
	"github.com/stretchr/testify/require"
)

func signature(t *testing.T, key minisign.PrivateKey, body []byte) []byte {
	t.Helper()
	r := minisign.NewReader(bytes.NewReader(body))
	_, err := io.Copy(io.Discard, r)
	require.NoError(t, err)
	return r.Sign(key)
}

// signers is a directory that trusts one key, with a second key that it does not.
func signers(t *testing.T) (b *bundle, trusted, stranger minisign.PrivateKey) {
	t.Helper()
	public, trusted, err := minisign.GenerateKey(rand.Reader)
	require.NoError(t, err)
	_, stranger, err = minisign.GenerateKey(rand.Reader)
	require.NoError(t, err)
	keys, err := ParseKeys([]string{public.String()})
	require.NoError(t, err)
	b = setup(t, func(o *Options) { o.Trust, o.Keys = TrustSigned, keys })
	return b, trusted, stranger
}

// What runs is what a key of host.yaml signed, to the byte.
//
// rows: S01
func TestSignedProgramRunsAndNothingElse(t *testing.T) {
	t.Parallel()
	b, trusted, stranger := signers(t)
	body := script("good")
	b.write(t, "slack", body, 0o755)
	a := b.one(t, "slack")
	require.Equal(t, VerdictUnsigned, a.Verdict)
	require.Equal(t, "it has no signature (hint: minisign -S -m slack)", a.Reason)
	b.approve(t, "slack", "1.0.0", "slack", body)
	require.False(t, b.one(t, "slack").Runnable(), "an approval is no signature")

	b.write(t, "slack.minisig", signature(t, stranger, body), 0o644)
	a = b.scan(t)["slack"][0]
	require.Equal(t, VerdictUnsigned, a.Verdict)
	require.Contains(t, a.Reason, "which host.yaml does not name")

	good := signature(t, trusted, body)
	b.write(t, "slack.minisig", good, 0o644)
	a = b.scan(t)["slack"][0]
	require.True(t, a.Runnable(), a.Reason)
	require.Equal(t, sum(body), a.Digest)

	for i := range body { // any byte
		flipped := bytes.Clone(body)
		flipped[i] ^= 0x20
		b.write(t, "slack", flipped, 0o755)
		for _, a := range b.scan(t)["slack"] {
			if a.Runnable() {
				require.Equal(t, VerdictKept, a.Verdict, "byte %d", i)
				require.Equal(t, sum(body), a.Digest, "byte %d", i)
			}
		}
		fresh, err := NewScanner(b.opts) // a host that starts now has nothing to keep
		require.NoError(t, err)
		found, err := fresh.Scan(t.Context())
		require.NoError(t, err)
		for _, a := range found {
			require.False(t, a.Runnable(), "byte %d: %s", i, a.Reason)
		}
	}
	b.write(t, "slack", body, 0o755)
	line := bytes.IndexByte(good, '\n') + 1
	for i := line; i < line+96; i += 3 { // of the signature itself, whose last characters have spare bits
		flipped := bytes.Clone(good)
		flipped[i] ^= 0x02
		b.write(t, "slack.minisig", flipped, 0o644)
		fresh, err := NewScanner(b.opts)
		require.NoError(t, err)
		found, err := fresh.Scan(t.Context())
		require.NoError(t, err)
		for _, a := range found {
			require.False(t, a.Runnable(), "byte %d of the signature: %s", i, a.Reason)
		}
	}
	b.write(t, "slack.minisig", minisign.Sign(trusted, body), 0o644)
	fresh, err := NewScanner(b.opts)
	require.NoError(t, err)
	found, err := fresh.Scan(t.Context())
	require.NoError(t, err)
	require.Contains(t, found[0].Reason, "the old form")
}

// rows: S01
func TestSignedPackage(t *testing.T) {
	t.Parallel()
	b, trusted, stranger := signers(t)
	dir := filepath.Join(b.opts.Dir, "slack")
	tr := binaryTree("1.0.0")
	tr.lay(t, dir)
	require.Equal(t, VerdictUnsigned, b.one(t, "slack").Verdict)
	tree{signatureFile: string(signature(t, stranger, []byte(tr[sumsFile])))}.lay(t, dir)
	require.Equal(t, VerdictUnsigned, b.one(t, "slack").Verdict)
	tree{signatureFile: string(signature(t, trusted, []byte(tr[sumsFile])))}.lay(t, dir)
	a := b.one(t, "slack")
	require.True(t, a.Runnable(), a.Reason)
	require.Equal(t, "1.0.0", a.Version)

	evil := binaryTree("6.6.6") // with sums of its own, which the signature is not of
	evil[signatureFile] = string(signature(t, trusted, []byte(tr[sumsFile])))
	require.NoError(t, os.RemoveAll(dir))
	evil.lay(t, dir)
	for _, a := range b.scan(t)["slack"] {
		require.NotEqual(t, sum([]byte(evil["bin/slack"])), runnable(a))
	}
	js := script("js")
	b.write(t, "js", js, 0o755)
	b.write(t, "js.minisig", signature(t, trusted, js), 0o644)
	folder := runtimeTree()
	folder.lay(t, filepath.Join(b.opts.Dir, "hello"))
	require.Contains(t, b.one(t, "hello").Reason, "no SHA256SUMS that could be signed")
	folder[sumsFile] = folder.sums()
	folder[signatureFile] = string(signature(t, trusted, []byte(folder[sumsFile])))
	folder.lay(t, filepath.Join(b.opts.Dir, "hello"))
	require.True(t, b.one(t, "hello").Runnable(), b.one(t, "hello").Reason)
}

// runnable is the digest that would run.
func runnable(a Artifact) string {
	if a.Runnable() {
		return a.Digest
	}
	return ""
}

// The bytes that are verified are those that are staged: a file that has the signed
// bytes only while the signature is looked at never runs.
//
// rows: S01, P02, H18
func TestSignatureVouchesForWhatIsStaged(t *testing.T) {
	t.Parallel()
	b, trusted, _ := signers(t)
	good, evil := script("good"), script("evil")
	b.write(t, "slack.minisig", signature(t, trusted, good), 0o644)
	b.write(t, "slack", good, 0o755)
	root, err := os.OpenRoot(b.opts.Dir)
	require.NoError(t, err)
	t.Cleanup(func() { _ = root.Close() })
	err = b.scanner.signedFile(root, "slack", sum(evil), bytes.NewReader(good)) // hashed before as evil
	require.ErrorContains(t, err, "changed while it was read")
	require.NoError(t, b.scanner.signedFile(root, "slack", sum(good), bytes.NewReader(good)))
	require.Error(t, b.scanner.signedFile(root, "slack", sum(evil), bytes.NewReader(evil)))
	_, err = NewScanner(Options{Dir: "a", Lock: "b", Data: "c", Trust: TrustSigned})
	require.ErrorContains(t, err, "trust signed needs a key")
	_, err = ParseKey("nonsense")
	require.ErrorContains(t, err, "is no minisign public key")
}

// A rejected digest runs under no trust, not even in the place of another.
//
// rows: P01
func TestRejectedDigestNeverRuns(t *testing.T) {
	t.Parallel()
	for _, trust := range []Trust{TrustLock, TrustDir} {
		b := setup(t, func(o *Options) {
			o.Trust = trust
			o.Now = func() time.Time { return time.Now().Add(time.Hour) }
		})
		body := script("bad")
		b.approve(t, "slack", "1.0.0", "slack", body)
		b.write(t, "slack", body, 0o755)
		require.True(t, b.one(t, "slack").Runnable())
		lock, err := LoadLock(b.opts.Lock)
		require.NoError(t, err)
		require.True(t, lock.Reject(Rejection{Name: "slack", SHA256: sum(body)}))
		require.False(t, lock.Reject(Rejection{Name: "slack", SHA256: sum(body)}))
		require.NoError(t, lock.Save(b.opts.Lock))
		a := b.one(t, "slack")
		require.Equal(t, VerdictRejected, a.Verdict)
		require.False(t, a.Runnable())
		b.approve(t, "slack", "1.0.0", "slack", body)
		require.True(t, b.one(t, "slack").Runnable(), "an approval takes it back")
	}
}
