package main

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// soaking reports whether the long forms of the proofs are asked for: make soak.
func soaking() bool { return os.Getenv("JACKFIELD_SOAK") != "" }

// chance returns a source of randomness whose seed is printed, and taken from
// JACKFIELD_SEED if that is set: what a test decides by it is decided again.
func chance(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("JACKFIELD_SEED"); text != "" {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err, "JACKFIELD_SEED")
	}
	t.Logf("seed %d (again: JACKFIELD_SEED=%d go test ./host -run '^%s$' -count=1)", seed, seed, t.Name())
	return rand.New(rand.NewPCG(seed, 0))
}

// proved prints the line by which make soak tells what was proved.
func proved(t *testing.T, format string, args ...any) {
	t.Helper()
	t.Logf("proof: "+format, args...)
}
