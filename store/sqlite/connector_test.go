package sqlite

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/store"
)

// Two channels of one connector type, of which one was last synced long ago: the
// old one kept the last success of the connector type, so that the other lost its
// date and was imported anew.
//
// rows: O28, D18
func TestD18TheLastSuccessOfEachIntegrationStays(t *testing.T) {
	t.Parallel()
	db := openTemp(t, Options{NoSync: true})
	// run, integration, connector, code
	for _, s := range []struct {
		run, integration int64
		connector        string
		code             store.ConnectorCode
	}{
		{1, 10, "orders", store.ConnectorCompleted},
		{1, 10, "customers", store.ConnectorCompleted},
		{2, 20, "orders", store.ConnectorCompleted},
		{3, 10, "orders", store.ConnectorCompleted},
		{3, 10, "customers", store.ConnectorFailed},
		{4, 10, "orders", store.ConnectorFailed},
		{4, 10, "customers", store.ConnectorFailed},
	} {
		require.NoError(t, db.update(t.Context(), func(ctx context.Context, t *tx) error {
			_, err := t.exec(ctx, `
				INSERT INTO connector_statuses (integration_id, run_id, connector, code)
				VALUES ($1, $2, $3, $4)`, s.integration, s.run, s.connector, string(s.code))
			return err
		}))
	}
	for _, run := range []int64{1, 2, 3, 4} {
		require.NoError(t, db.update(t.Context(), func(ctx context.Context, t *tx) error { return forgetStatuses(ctx, t, run) }))
	}
	type kept struct {
		run, integration int64
		connector        string
	}
	var left []kept
	require.NoError(t, db.list(t.Context(), "SELECT run_id, integration_id, connector FROM connector_statuses ORDER BY id", nil, func(s scanner) error {
		var k kept
		err := s.Scan(&k.run, &k.integration, &k.connector)
		left = append(left, k)
		return err
	}))
	require.Equal(t, []kept{{1, 10, "customers"}, {2, 20, "orders"}, {3, 10, "orders"}}, left)
}
