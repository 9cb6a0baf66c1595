package sqlite

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// crowd makes a tenant, number 1, with n lanes that wait, and behind them another
// with one.
func crowd(tb testing.TB, n int) *DB {
	tb.Helper()
	db := openTemp(tb, Options{NoSync: true})
	var changes []store.Change
	for i, tenant := range []string{"loud", "quiet"} {
		changes = append(changes, store.Change{Op: store.ChangeCreate, UID: fmt.Sprintf("%016x", i+1), Spec: store.IntegrationSpec{
			Tenant: tenant, Name: "one", Plugin: "git", Connectors: []string{"things"}, Every: -1, Enabled: true, Settings: []byte("{}"), SettingsSum: []byte("s"),
		}})
	}
	require.NoError(tb, db.ApplyChanges(tb.Context(), changes))
	execRaw(tb, db, fmt.Sprintf(`
		WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
		INSERT INTO lanes (integration_id, class, key, plugin, tenant_id, prio, wake_at, wake_from)
		SELECT 1, 'pull', 'k' || i, 'git', 1, 2, i, 0 FROM n`, n))
	execRaw(tb, db, fmt.Sprintf("UPDATE lanes SET prio = 2, wake_at = %d, wake_from = 0 WHERE integration_id = 2", n+1))
	return db
}

// BenchmarkClaimBehindAnother claims and gives back the lane of a tenant with one,
// behind those of a tenant that has enough. The figures of few and many are to be
// the same.
func BenchmarkClaimBehindAnother(b *testing.B) {
	for _, n := range []int{100, 400_000} {
		b.Run(fmt.Sprintf("lanes=%d", n), func(b *testing.B) {
			db := crowd(b, n)
			b.ResetTimer()
			for b.Loop() {
				lanes, err := db.ClaimLanes(b.Context(), store.LaneClaim{
					Plugins: []string{"git"}, Limit: 1, Lease: time.Minute, PerTenant: 8, Held: map[int64]int{1: 8},
				})
				require.NoError(b, err)
				require.Len(b, lanes, 1)
				require.EqualValues(b, 2, lanes[0].TenantID)
				require.NoError(b, db.update(b.Context(), func(ctx context.Context, t *tx) error {
					_, err := t.exec(ctx, "UPDATE lanes SET owner = NULL, lease_until = NULL WHERE id = $1", lanes[0].ID)
					return err
				}))
			}
		})
	}
}

// BenchmarkClaimLane claims and gives back the lane that is first, with and without
// a bound for each tenant.
func BenchmarkClaimLane(b *testing.B) {
	for _, most := range []int{0, 8} {
		b.Run(fmt.Sprintf("perTenant=%d", most), func(b *testing.B) {
			db := crowd(b, 1000)
			b.ResetTimer()
			for b.Loop() {
				lanes, err := db.ClaimLanes(b.Context(), store.LaneClaim{Plugins: []string{"git"}, Limit: 1, Lease: time.Minute, PerTenant: most})
				require.NoError(b, err)
				require.Len(b, lanes, 1)
				require.NoError(b, db.ReleaseLane(b.Context(), lanes[0]))
				require.NoError(b, db.update(b.Context(), func(ctx context.Context, t *tx) error {
					_, err := t.exec(ctx, "UPDATE lanes SET wake_at = 1 WHERE id = $1", lanes[0].ID)
					return err
				}))
			}
		})
	}
}
