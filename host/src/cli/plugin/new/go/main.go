// A plugin for the alert gateway: it makes alerts of the requests of `my-plugin`'s sender.
//
// As it stands, it reads {"id": "17", "check": "db-1", "title": "…", "severity": "…", "ok": false}. To make it
// yours: put a real request of your sender into cases/, and change event and known until the answer is right.
package main

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"strings"
)

//go:embed settings.schema.json
var settingsSchema []byte

//go:embed setup.md
var setup string

// The operator's settings. The gateway has checked them against the schema.
type settings struct {
	// The priority of an event without one.
	Priority Priority `json:"priority"`
}

// The event, as far as an alert needs it. The alert's details have all of it.
type event struct {
	// Of this one event: when the sender posts it twice, one alert is enough.
	ID string `json:"id"`
	// The thing that is broken, or well again.
	Check    string `json:"check"`
	Title    string `json:"title"`
	Severity string `json:"severity"`
	OK       bool   `json:"ok"`
}

// So that no call learns these types anew.
func init() {
	learn[settings]("{}")
	learn[event]("{}")
}

func description() Description {
	return Description{
		Contract: ContractVersion,
		Name:     "my-plugin",
		Version:  "0.1.0",
		Summary:  "Reads the requests of my-plugin.",
		Settings: settingsSchema,
		Setup:    setup,
	}
}

// Whatever the sender sends is an event that somebody must see, so what is not understood is carried on as it is.
func answer(request Request) Answer {
	chosen := settings{Priority: PriorityMedium}
	// They fit the schema.
	_ = json.Unmarshal(request.Settings, &chosen)
	body := []byte(request.Body.text())
	if request.Content != nil && request.Content.Text != nil {
		body = []byte(*request.Content.Text)
	}
	alert := known(body, chosen)
	if json.Valid(body) {
		alert.Details = body
	} else {
		alert.Details, _ = json.Marshal(map[string]string{"body_text": string(body)})
	}
	return Answer{Alerts: []Alert{alert}}
}

// An event of the expected shape, or an alert that says that it is none.
func known(body []byte, chosen settings) Alert {
	var event event
	if json.Unmarshal(body, &event) != nil || event.ID == "" || event.Check == "" || event.Title == "" {
		return Alert{
			EventID:    hash(body),
			Priority:   PriorityHigh,
			Status:     StatusTrigger,
			Title:      "my-plugin: an event of unknown shape (another shape); see its details",
			Unreadable: &Unreadable{Reason: "another shape"},
		}
	}
	alert := Alert{
		EventID:  id(event.ID, MaxEventIDBytes),
		Key:      id(event.Check, MaxEventIDBytes),
		Labels:   map[string]string{"check": event.Check},
		Priority: chosen.Priority,
		Status:   StatusTrigger,
		Title:    strings.Join(strings.Fields(event.Title), " "),
	}
	if event.OK {
		alert.Status = StatusResolve
	}
	switch word := Priority(strings.ToLower(event.Severity)); word {
	case "":
	case PriorityCritical, PriorityHigh, PriorityMedium, PriorityLow:
		alert.Priority = word
	default:
		// A word that is not known never ranks below a known one.
		alert.Priority = PriorityCritical
		alert.Notes = []Note{{Kind: NoteKindUnknownPriority, Field: "severity", Found: event.Severity}}
	}
	return alert
}

// An id that is too long becomes its hash.
func id(given string, most int) string {
	if len(given) <= most {
		return given
	}
	return hash([]byte(given))
}

func hash(bytes []byte) string {
	sum := sha256.Sum256(bytes)
	return hex.EncodeToString(sum[:])
}
