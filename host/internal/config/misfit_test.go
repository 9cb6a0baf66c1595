package config

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// rows: H33
func TestMisfits(t *testing.T) {
	t.Parallel()
	const schema = `{"type":"object","additionalProperties":false,"required":["region"],"properties":{
		"region":{"enum":["eu","us"]},"pages":{"type":"integer"},"auth":{"type":"object","required":["token"],"properties":{"token":{"type":"string","x-secret":true,"minLength":40}}},
		"way":{"oneOf":[{"type":"string"},{"type":"null"}]}}}`
	for settings, want := range map[string][]string{
		`{"region":"eu","pages":3}`:             nil,
		``:                                      {`setting "region" is missing`},
		`{"region":"eu","colour":"red"}`:        {`setting "colour" is unknown`},
		`{"region":"eu","pages":"three"}`:       {`setting "pages": a whole number is needed, this is a string`},
		`{"region":"mars"}`:                     {`setting "region": the value is not allowed one of eu, us`},
		`{"region":"eu","auth":{}}`:             {`setting "auth.token" is missing`},
		`{"region":"eu","auth":{"token":"x1"}}`: {`setting "auth.token": at least 40 characters are needed`},
		`{"region":"eu","way":1}`:               {`setting "way" fits none, or more than one, of the forms that there are`},
	} {
		got, err := Misfits([]byte(schema), []byte(settings))
		require.NoError(t, err, settings)
		require.Equal(t, want, got, settings)
	}
	_, err := Misfits([]byte(`{"type":7}`), []byte(`{}`))
	require.Error(t, err)
	_, err = Misfits([]byte(`{}`), []byte(`secret`))
	require.EqualError(t, err, "the settings are no JSON")
}
