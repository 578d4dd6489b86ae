package engine

import (
	"reflect"
	"testing"
)

// Add must forget no counter: the daemon's figures are sums.
func TestCountersAdd(t *testing.T) {
	var ones, got Counters
	fill(reflect.ValueOf(&ones).Elem())
	got.Add(&ones)
	if got != ones {
		t.Errorf("got  %+v\nwant %+v", got, ones)
	}
}

func fill(v reflect.Value) {
	for i := range v.NumField() {
		switch f := v.Field(i); f.Kind() {
		case reflect.Struct:
			fill(f)
		case reflect.Uint64:
			f.SetUint(1)
		default:
			f.SetInt(1)
		}
	}
}
