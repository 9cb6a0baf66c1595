package sdk_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jackfield/jackfield/sdk"
)

// rows: C16
func TestGenerateID(t *testing.T) {
	t.Parallel()
	id, err := sdk.GenerateID("42", "comment", "2023-05-01T10:00:00.000Z", "devto")
	require.NoError(t, err)
	require.Equal(t, "gen-1939597745294d1f2cc9962e544c323c", id) // of md5sum
	for _, parts := range [][4]string{{"", "comment", "1", "devto"}, {"42", "", "1", "devto"}, {"42", "comment", "", "devto"}, {"42", "comment", "1", ""}} {
		_, err := sdk.GenerateID(parts[0], parts[1], parts[2], parts[3])
		require.ErrorContains(t, err, "is empty")
	}
}
