package catalog

import "time"

// Source says where a figure comes from and of which day it is.
type Source struct {
	Name string    `json:"name"`
	AsOf time.Time `json:"asOf"`
	// Approximate says that the figure was derived, not published.
	Approximate bool `json:"approximate,omitempty"`
}

// The sources of the built-in tables.
func shapeSource() Source {
	return Source{Name: "AWS price list, us-east-1", AsOf: endOfJuly(2026)}
}

func factorSource() Source {
	return Source{Name: "AWS price list, us-east-1, times a factor", AsOf: endOfJuly(2025), Approximate: true}
}

func spotSource() Source {
	return Source{Name: "AWS Spot Instance Advisor", AsOf: endOfJuly(2025)}
}

func serviceSource(region string) Source {
	return Source{Name: "AWS price pages", AsOf: endOfJuly(2025), Approximate: region != homeRegion}
}

func endOfJuly(year int) time.Time { return time.Date(year, time.July, 31, 0, 0, 0, 0, time.UTC) }
