package sqlite

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"reflect"
	"strconv"
)

// errType says that a value of a row is not of the type that is asked for.
var errType = errors.New("another type")

// row is a row of a result as the driver gives it.
type row []driver.Value

// Scan implements scanner. A row that is not there is sql.ErrNoRows.
func (r row) Scan(dest ...any) error {
	if r == nil {
		return sql.ErrNoRows
	}
	if len(dest) != len(r) {
		return fmt.Errorf("scan %d columns into %d values: %w", len(r), len(dest), errType)
	}
	for i, to := range dest {
		if !assign(to, r[i]) {
			if err := convert(to, r[i]); err != nil {
				return fmt.Errorf("scan column %d: %w", i+1, err)
			}
		}
	}
	return nil
}

// assign stores what most columns are, and reports whether it did.
func assign(to any, value driver.Value) bool {
	switch v := value.(type) {
	case int64:
		switch to := to.(type) {
		case *int64:
			*to = v
		case *int:
			*to = int(v)
		case *bool:
			*to = v != 0
		case *moment:
			to.Int64, to.Valid = v, true
		default:
			return false
		}
	case string:
		switch to := to.(type) {
		case *string:
			*to = v
		case *nullString:
			to.String, to.Valid = v, true
		default:
			return false
		}
	case []byte:
		to, ok := to.(*[]byte)
		if !ok {
			return false
		}
		*to = v
	case nil:
		switch to := to.(type) {
		case *[]byte:
			*to = nil
		case *moment:
			*to = moment{}
		case *nullString:
			*to = nullString{}
		default:
			return false
		}
	default:
		return false
	}
	return true
}

// convert stores what is left: in types of the domain, and in those that scan
// themselves.
func convert(to any, value driver.Value) error {
	if s, ok := to.(sql.Scanner); ok {
		return s.Scan(value)
	}
	at := reflect.ValueOf(to)
	if at.Kind() != reflect.Pointer || at.IsNil() {
		return fmt.Errorf("into %T: %w", to, errType)
	}
	at = at.Elem()
	switch v := value.(type) {
	case int64:
		if at.CanInt() && !at.OverflowInt(v) {
			at.SetInt(v)
			return nil
		}
		switch at.Kind() { //nolint:exhaustive // what else a number goes into
		case reflect.Float64:
			at.SetFloat(float64(v))
			return nil
		case reflect.String:
			at.SetString(strconv.FormatInt(v, 10))
			return nil
		}
	case float64:
		if at.CanFloat() {
			at.SetFloat(v)
			return nil
		}
	case string:
		if at.Kind() == reflect.String {
			at.SetString(v)
			return nil
		}
		if at.Kind() == reflect.Slice && at.Type().Elem().Kind() == reflect.Uint8 {
			at.SetBytes([]byte(v))
			return nil
		}
	case []byte:
		if at.Kind() == reflect.Slice && at.Type().Elem().Kind() == reflect.Uint8 {
			at.SetBytes(v)
			return nil
		}
		if at.Kind() == reflect.String {
			at.SetString(string(v))
			return nil
		}
	}
	return fmt.Errorf("%T into %T: %w", value, to, errType)
}

// driverValue returns what stands for an argument that is none of the types that
// most are.
func driverValue(arg any) (driver.Value, error) {
	if n, ok := arg.(int); ok {
		return int64(n), nil
	}
	return driver.DefaultParameterConverter.ConvertValue(arg)
}
