package dissect

import (
	"encoding/binary"
	"strings"
	"testing"
)

// kafkaVar writes a signed number of variable length.
func kafkaVar(n int) []byte { return binary.AppendVarint(nil, int64(n)) }

// kafkaRecordOf writes a record of version 2 with a header.
func kafkaRecordOf(key, value string) string {
	b := append([]byte{0, 0, 0}, kafkaVar(len(key))...)
	b = append(append(b, key...), kafkaVar(len(value))...)
	b = append(append(b, value...), "\x02\x02h\x04at"...)
	return string(kafkaVar(len(b))) + string(b)
}

// TestKafkaLongRecord plays a batch with a record that is longer than what is waited for: its value is told as any other's.
func TestKafkaLongRecord(t *testing.T) {
	long := strings.Repeat("value ", 200<<10)
	records := kafkaRecordOf("first", "one") + kafkaRecordOf("second", long) + kafkaRecordOf("third", "three")
	be := binary.BigEndian
	batch := string(be.AppendUint32(make([]byte, 8), uint32(kafkaBatchHead-kafkaBatchStart+len(records)))) + "\x00\x00\x00\x00\x02" + strings.Repeat("\x00", kafkaBatchHead-17) + records
	body := "\xff\xff\x00\x01\x00\x00\x0b\xb8\x00\x00\x00\x01\x00\x06orders\x00\x00\x00\x01\x00\x00\x00\x00" + string(be.AppendUint32(nil, uint32(len(batch)))) + batch
	request := "\x00\x00\x00\x03\x00\x00\x00\x07\x00\x04shop" + body
	turns := []turn{{toS, string(be.AppendUint32(nil, uint32(len(request)))) + request + "\x00\x00\x00\x0e\x00\x03\x00\x00\x00\x00\x00\x08\x00\x04shop"}}
	for _, size := range []int{0, 1447} {
		e, err := piecemeal(t, &Kafka, newEnv(), turns, size)
		if err != nil || len(e.codes()) > 0 {
			t.Fatalf("in pieces of %d: %v, %v", size, err, e.codes())
		}
		var got []string
		for _, k := range e.keys {
			got = append(got, strings.Fields(k)[1]+" "+e.values[k])
		}
		text := strings.Join(got, "|")
		want := "kafka.key first|kafka.value one|kafka.header h|kafka.header at|kafka.key second|kafka.value " + long + "|kafka.header h|kafka.header at|kafka.key third|kafka.value three|"
		if !strings.Contains(text, want) || !strings.Contains(text, "kafka.api Metadata") {
			t.Errorf("in pieces of %d: %d values, without what they should be: %.300q", size, len(got), strings.ReplaceAll(text, long, "..."))
		}
	}
}
