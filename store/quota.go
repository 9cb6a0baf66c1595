package store

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// RecordLimit bounds how many records an integration imports. The zero value is
// no limit.
type RecordLimit struct {
	Records int64
	Per     time.Duration // the period; zero: each run has the limit for itself
	// OnboardingFactor is how many times as many an onboarding may import; once if
	// zero.
	OnboardingFactor float64
	// Key, if not empty, makes the limit one with those of the tenant's other
	// integrations that have the same key.
	Key string
}

// Most returns how many records a run of the kind may import, counted with what
// others of the period have; 0 if there is no limit.
func (l RecordLimit) Most(kind RunKind) int64 {
	if l.Records <= 0 || kind != RunOnboarding || l.OnboardingFactor <= 0 {
		return max(l.Records, 0)
	}
	most := float64(l.Records) * l.OnboardingFactor
	return int64(min(max(math.Round(most), 1), 1<<53))
}

// String says the limit for people.
func (l RecordLimit) String() string {
	if l.Per == 0 {
		return fmt.Sprintf("%d records a run", l.Records)
	}
	per := l.Per.String() // such as 24h0m0s
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(per, zero) {
			per = per[:len(per)-2]
		}
	}
	return fmt.Sprintf("%d records in %s", l.Records, per)
}

// Quota is what a lane may still import for a run.
type Quota struct {
	// Free says that nothing limits what the run does now; the rest is zero.
	Free bool
	// Left is the lane's own: what it imports is taken from it. It is not above
	// zero if the limit is reached.
	Left int64
	Rest int64 // of the limit, beyond Left
	// Reset is when the limit begins anew; zero if it does so with the next run.
	Reset time.Time
}

// LimitUse is how far a limit is used.
type LimitUse struct {
	Limit int64 // as it is for the integration now
	Used  int64 // what lanes have drawn and not imported yet is used
	Reset time.Time
}
