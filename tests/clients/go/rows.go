package events

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Event is Debezium's envelope, of which a consumer declares what it wants.
type Event[Row any] struct {
	Op    string `avro:"op" json:"op"`
	After *Row   `avro:"after" json:"after"`
}

// Debezium is a row with representation = "debezium": times are numbers, or texts with a zone.
//
// hamba/avro reads a decimal that may be null into **big.Rat. (Into *big.Rat it puts 0, without an
// error.)
type Debezium struct {
	ID     int64      `avro:"id"`
	Flag   *bool      `avro:"flag"`
	Whole  *int       `avro:"whole"`
	Big    *int64     `avro:"big"`
	Ratio  *float64   `avro:"ratio"`
	Amount **big.Rat  `avro:"amount"`
	Free   *Variable  `avro:"free"`
	Name   *string    `avro:"name"`
	Data   *[]byte    `avro:"data"`
	Number *string    `avro:"number"`
	Day    *int       `avro:"day"`
	Clock  *int64     `avro:"clock"`
	Moment *int64     `avro:"moment"`
	Zoned  *string    `avro:"zoned"`
	Span   *int64     `avro:"span"`
	Doc    *string    `avro:"doc"`
	Mood   *string    `avro:"mood"`
	Tags   *[]*string `avro:"tags"`
	Wholes *[]*int    `avro:"wholes"`
}

// Avro is a row with representation = "avro": Avro's logical types.
type Avro struct {
	ID     int64          `avro:"id"`
	Flag   *bool          `avro:"flag"`
	Whole  *int           `avro:"whole"`
	Big    *int64         `avro:"big"`
	Ratio  *float64       `avro:"ratio"`
	Amount **big.Rat      `avro:"amount"`
	Free   *string        `avro:"free"`
	Name   *string        `avro:"name"`
	Data   *[]byte        `avro:"data"`
	Number *string        `avro:"number"`
	Day    *time.Time     `avro:"day"`
	Clock  *time.Duration `avro:"clock"`
	Moment *time.Time     `avro:"moment"`
	Zoned  *time.Time     `avro:"zoned"`
	Span   *Interval      `avro:"span"`
	Doc    *string        `avro:"doc"`
	Mood   *string        `avro:"mood"`
	Tags   *[]*string     `avro:"tags"`
	Wholes *[]*int        `avro:"wholes"`
}

// JSON is a row with value_format = "json". encoding/json reads Base64 into []byte.
type JSON struct {
	ID     int64      `json:"id"`
	Flag   *bool      `json:"flag"`
	Whole  *int       `json:"whole"`
	Big    *int64     `json:"big"`
	Ratio  *float64   `json:"ratio"`
	Amount *Cents     `json:"amount"`
	Free   *Variable  `json:"free"`
	Name   *string    `json:"name"`
	Data   *[]byte    `json:"data"`
	Number *string    `json:"number"`
	Day    *int       `json:"day"`
	Clock  *int64     `json:"clock"`
	Moment *int64     `json:"moment"`
	Zoned  *string    `json:"zoned"`
	Span   *int64     `json:"span"`
	Doc    *string    `json:"doc"`
	Mood   *string    `json:"mood"`
	Tags   *[]*string `json:"tags"`
	Wholes *[]*int    `json:"wholes"`
}

// Variable is Debezium's number of a column that declares no scale.
type Variable struct {
	Scale int    `avro:"scale" json:"scale"`
	Value []byte `avro:"value" json:"value"`
}

// Cents is a numeric(12, 2) in JSON: the bytes of the number of cents.
type Cents []byte

// Interval is an interval with representation = "avro".
type Interval struct {
	Months int   `avro:"months" json:"months"`
	Days   int   `avro:"days" json:"days"`
	Micros int64 `avro:"micros" json:"micros"`
}

// unscaled is a number of `digits` behind the point from its two's complement.
func unscaled(digits int, data []byte) string {
	number := new(big.Int).SetBytes(data)
	if 0 < len(data) && 0x80 <= data[0] {
		number.Sub(number, new(big.Int).Lsh(big.NewInt(1), uint(8*len(data))))
	}
	scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(digits)), nil)
	return new(big.Rat).SetFrac(number, scale).FloatString(digits)
}

// cells shows each field: the type that it was decoded to, and its value as a text. (A time of day
// and an interval are microseconds, a date is days since 1970.)
func cells(row any) map[string]any {
	fields := reflect.ValueOf(row)
	if fields.IsNil() {
		return nil
	}
	fields = fields.Elem()
	cells := map[string]any{}
	for index := range fields.NumField() {
		field := fields.Field(index)
		name := strings.ToLower(fields.Type().Field(index).Name)
		kind := strings.ReplaceAll(field.Type().String(), "uint8", "byte")
		if field.Kind() == reflect.Pointer && field.IsNil() {
			cells[name] = [2]any{kind, nil}
			continue
		}
		for field.Kind() == reflect.Pointer {
			field = field.Elem()
		}
		cells[name] = [2]any{kind, text(name, field.Interface())}
	}
	return cells
}

func text(name string, value any) string {
	switch value := value.(type) {
	case string:
		return value
	case float64:
		return strconv.FormatFloat(value, 'g', -1, 64)
	case big.Rat:
		return value.FloatString(2)
	case Cents:
		return unscaled(2, value)
	case Variable:
		return unscaled(value.Scale, value.Value)
	case []byte:
		return hex.EncodeToString(value)
	case time.Duration:
		return fmt.Sprint(value.Microseconds())
	case time.Time:
		if name == "day" {
			return fmt.Sprint(value.Unix() / 86400)
		}
		_, offset := value.Zone()
		if name == "moment" {
			// What its clock shows, wherever that is.
			return fmt.Sprint(value.UnixMicro() + int64(offset)*1e6)
		}
		return fmt.Sprint(value.UnixMicro())
	case []*string, []*int, Interval:
		text, _ := json.Marshal(value)
		return string(text)
	}
	return fmt.Sprint(value)
}

// badly reads the amount as *big.Rat.
type badly struct {
	Amount *big.Rat `avro:"amount"`
}
