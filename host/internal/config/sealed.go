package config

import (
	"encoding/json"
	"fmt"

	"github.com/jackfield/jackfield/host/internal/secret"
	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/store"
)

const (
	fieldSettings = "settings"
	fieldPatch    = "patch"
)

// settingsPlace says where an integration's settings belong: sealed ones open
// nowhere else (L03).
func settingsPlace(tenant, uid string) []string { return []string{tenant, uid, fieldSettings} }

// OpenSettings returns the settings of an integration in clear. What the plugin
// keeps stands behind what the user has set: a key of the user always wins (C29).
func OpenSettings(keys *secret.Keyring, in store.Integration) (sdk.Settings, error) {
	settings, err := openObject(keys, in.Settings, settingsPlace(in.Tenant, in.UID)...)
	if err != nil {
		return sdk.Settings{}, unopened(in, fieldSettings, err)
	}
	patch, err := openObject(keys, in.Patch, in.Tenant, in.UID, fieldPatch)
	if err != nil {
		return sdk.Settings{}, unopened(in, fieldPatch, err)
	}
	for key, value := range patch {
		if _, own := settings[key]; !own {
			settings[key] = value
		}
	}
	raw, err := json.Marshal(settings)
	if err != nil {
		return sdk.Settings{}, unopened(in, fieldSettings, err)
	}
	return sdk.NewSettings(raw), nil
}

// SealPatch merges values by key into what the plugin keeps of an integration's
// settings, and returns it sealed for store.Integration.Patch. A value is JSON;
// null takes its key away.
func SealPatch(keys *secret.Keyring, in store.Integration, set map[string][]byte) ([]byte, error) {
	patch, err := openObject(keys, in.Patch, in.Tenant, in.UID, fieldPatch)
	if err != nil {
		return nil, unopened(in, fieldPatch, err)
	}
	for key, value := range set {
		switch {
		case !json.Valid(value):
			return nil, fmt.Errorf("keep settings of %s: %w: the value of %q is not JSON", in.FullName(), store.ErrInvalid, short(key))
		case string(value) == "null":
			delete(patch, key)
		default:
			patch[key] = value
		}
	}
	raw, err := json.Marshal(patch)
	if err != nil {
		return nil, fmt.Errorf("keep settings of %s: %w", in.FullName(), err)
	}
	if len(raw) > maxSettings {
		return nil, fmt.Errorf("keep settings of %s: %w: they would be larger than 1 MiB", in.FullName(), store.ErrLimit)
	}
	return keys.Seal(raw, in.Tenant, in.UID, fieldPatch)
}

// openObject opens a sealed JSON object; nothing sealed is an empty one.
func openObject(keys *secret.Keyring, sealed []byte, place ...string) (map[string]json.RawMessage, error) {
	out := map[string]json.RawMessage{}
	if len(sealed) == 0 {
		return out, nil
	}
	body, err := keys.Open(sealed, place...)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(body, &out); err != nil {
		return nil, fmt.Errorf("decode: %w", store.ErrInvalid) // the cause could show the value
	}
	return out, nil
}

func unopened(in store.Integration, field string, err error) error {
	return store.Hint(fmt.Errorf("open %s of %s: %w", field, in.FullName(), err),
		"is the key file the one that the store was written with?")
}
