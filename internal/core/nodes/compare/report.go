package compare

import (
	"strings"
	"time"

	"github.com/tatami-platform/tatami/internal/core/catalog"
	"github.com/tatami-platform/tatami/internal/core/plan"
	"github.com/tatami-platform/tatami/internal/core/unit"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// APIVersion and Kind head every report.
const (
	APIVersion = "plan.tatami.dev/v1"
	Kind       = "PlanReport"
)

// Report is the answer of `tatami plan`. Its JSON form is a contract,
// published as docs/reference/plan.schema.json.
type Report struct {
	APIVersion  string    `json:"apiVersion"`
	Kind        string    `json:"kind"`
	GeneratedAt time.Time `json:"generatedAt"`
	Tool        Tool      `json:"tool"`
	// Digest is the same for the same inputs, prices and version: it leaves out
	// times and Tool.
	Digest string `json:"digest"`

	Inputs          Inputs           `json:"inputs"`
	Verdict         Verdict          `json:"verdict"`
	BaselineID      ID               `json:"baselineId"`
	Strategies      []Strategy       `json:"strategies"`
	Waterfall       []Step           `json:"waterfall"`
	Recommendations []Recommendation `json:"recommendations"`
	// Security stays empty until findings about manifests are part of a plan.
	Security    []Finding    `json:"security"`
	NotCovered  []NotCovered `json:"notCovered"`
	Assumptions []Statement  `json:"assumptions"`
	Trace       *Trace       `json:"trace,omitempty"`
	// Errors are reads that failed; the report is about the rest then.
	Errors []string `json:"errors"`
}

// Tool made the report.
type Tool struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Inputs are what the report is about.
type Inputs struct {
	// Name of the source for people, Digest of everything that was read.
	Name   string   `json:"name"`
	Digest string   `json:"digest"`
	Region string   `json:"region"`
	Zones  []string `json:"zones"`
	// Arch is amd64, arm64 or any; SpotPercent the most that may be spot.
	Arch        string `json:"arch"`
	SpotPercent int    `json:"spotPercent"`
	Preset      string `json:"preset"`
	Workloads   int    `json:"workloads"`
	Groups      int    `json:"groups"`
	Pods        int    `json:"pods"`
	DaemonSets  int    `json:"daemonSets"`
	CPUMillis   int64  `json:"cpuMillis"`
	MemoryBytes int64  `json:"memoryBytes"`
	// CurrentNodes are the nodes of today; 0 when they are not known.
	CurrentNodes int       `json:"currentNodes"`
	PriceBook    PriceBook `json:"priceBook"`
}

// PriceBook says where prices come from, and of which day.
type PriceBook struct {
	Name    string           `json:"name"`
	Offers  int              `json:"offers"`
	Sources []catalog.Source `json:"sources"`
}

// ID names a strategy in JSON and on the command line. It never changes.
type ID string

// The strategies.
const (
	Current           ID = "current"
	ClusterAutoscaler ID = "cluster-autoscaler"
	Karpenter         ID = "karpenter"
	Fargate           ID = "fargate"
	ECSASG            ID = "ecs-asg"
	Tatami            ID = "tatami"
	TatamiSpot        ID = "tatami-spot"
)

// IDs are all strategies in the order in which they are shown.
func IDs() []ID {
	return []ID{Current, ClusterAutoscaler, Karpenter, Fargate, ECSASG, Tatami, TatamiSpot}
}

// Strategy is what one strategy would run, and what that costs.
type Strategy struct {
	ID    ID     `json:"id"`
	Name  string `json:"name"`
	Nodes []Node `json:"nodes"`
	// NodeCount is the sum of the counts, HourlyUSD of count times price.
	NodeCount  int          `json:"nodeCount"`
	HourlyUSD  unit.NanoUSD `json:"hourlyUSD"`
	MonthlyUSD unit.NanoUSD `json:"monthlyUSD"`
	// MonthlyRangeUSD is from the price shown to the price of the same nodes
	// without any spot discount.
	MonthlyRangeUSD Range `json:"monthlyRangeUSD"`
	// SavingMonthlyUSD is against the baseline; negative when it costs more.
	SavingMonthlyUSD unit.NanoUSD `json:"savingMonthlyUSD"`
	// Pending are pods without a place. A strategy is Comparable when it places
	// every pod that the baseline places; it may place more.
	Pending    []Pending `json:"pending"`
	Comparable bool      `json:"comparable"`
	// PackedCPU and PackedMemory are requests of pods over what the nodes give.
	PackedCPU    float64 `json:"packedCPU"`
	PackedMemory float64 `json:"packedMemory"`
	// LowerBoundHourlyUSD is proven: nothing that places the same pods on the same
	// offers under the same rules, the preset's among them, costs less. 0
	// when none was proven; the key is always there, as others rely on it.
	LowerBoundHourlyUSD unit.NanoUSD `json:"lowerBoundHourlyUSD"`
	// WithSpotMonthlyUSD is what Karpenter, which is shown on demand, would cost
	// with spot; only when all pods may run on it, as it does not mix otherwise.
	WithSpotMonthlyUSD *unit.NanoUSD `json:"withSpotMonthlyUSD,omitempty"`
	SolveMillis        float64       `json:"solveMillis"`
	Risk               Risk          `json:"risk"`
	Trace              *TraceResult  `json:"trace,omitempty"`
}

// Node is a number of nodes that are alike, pods included.
type Node struct {
	InstanceType string               `json:"instanceType"`
	Arch         catalog.Arch         `json:"arch"`
	CapacityType catalog.CapacityType `json:"capacityType"`
	Zone         string               `json:"zone"`
	Pool         string               `json:"pool"`
	Count        int                  `json:"count"`
	// HourlyUSD is the price of one.
	HourlyUSD unit.NanoUSD `json:"hourlyUSD"`
	// CPUMillis and MemoryBytes are what one gives to pods; the shares of it are
	// requested by pods and by DaemonSets.
	CPUMillis    int64   `json:"cpuMillis"`
	MemoryBytes  int64   `json:"memoryBytes"`
	CPUShare     float64 `json:"cpuShare"`
	MemoryShare  float64 `json:"memoryShare"`
	DaemonCPU    float64 `json:"daemonCPUShare"`
	DaemonMemory float64 `json:"daemonMemoryShare"`
	Pods         []Pods  `json:"pods"`
}

// Pods are those of one workload on a node.
type Pods struct {
	Workload string  `json:"workload"`
	Count    int     `json:"count"`
	CPUShare float64 `json:"cpuShare"`
	// MemoryShare of what the node gives, as CPUShare.
	MemoryShare float64 `json:"memoryShare"`
}

// Pending are pods of one group without a place.
type Pending struct {
	PodGroup string    `json:"podGroup"`
	Count    int       `json:"count"`
	Code     plan.Code `json:"code"`
	Reason   string    `json:"reason"`
}

// Range is from low to high.
type Range struct {
	Low  unit.NanoUSD `json:"low"`
	High unit.NanoUSD `json:"high"`
}

// Risk is what may go wrong.
type Risk struct {
	Level RiskLevel `json:"level"`
	// InterruptionsPerDay are expected, SpotShare is of the hourly price.
	InterruptionsPerDay float64 `json:"interruptionsPerDay"`
	SpotShare           float64 `json:"spotShare"`
	// LargestNodeShare is the share of all pods on the node with the most.
	LargestNodeShare float64 `json:"largestNodeShare"`
}

// RiskLevel sums a risk up in one word.
type RiskLevel string

// The levels: nothing can be taken back; less than an interruption in ten days;
// less than one a day; more.
const (
	RiskNone   RiskLevel = "none"
	RiskLow    RiskLevel = "low"
	RiskMedium RiskLevel = "medium"
	RiskHigh   RiskLevel = "high"
)

// Step is one bar of the waterfall from the baseline to the last strategy.
type Step struct {
	Step StepCode `json:"step"`
	// HourlyDeltaUSD is what the step changes: negative saves. The first step is
	// the baseline itself. All of them sum to the last strategy.
	HourlyDeltaUSD  unit.NanoUSD `json:"hourlyDeltaUSD"`
	MonthlyDeltaUSD unit.NanoUSD `json:"monthlyDeltaUSD"`
}

// StepCode names a step.
type StepCode string

// The steps: what is compared with; packing by price on the same architecture;
// every architecture that the images allow; spot capacity.
const (
	StepBaseline StepCode = "baseline"
	StepPack     StepCode = "pack"
	StepArch     StepCode = "arch"
	StepSpot     StepCode = "spot"
)

// Verdict has the figures of the one sentence above all.
type Verdict struct {
	Code VerdictCode `json:"code"`
	// Strategy is what is weighed, BestOther the cheapest that is not Tatami's and
	// places what Strategy places.
	Strategy  ID `json:"strategy"`
	BestOther ID `json:"bestOther,omitempty"`
	// AnnualSavingUSD is of Strategy against the baseline over twelve months,
	// AnnualSavingOtherUSD of BestOther, AnnualSavingSpotUSD with spot as well.
	AnnualSavingUSD      unit.NanoUSD `json:"annualSavingUSD"`
	AnnualSavingOtherUSD unit.NanoUSD `json:"annualSavingOtherUSD"`
	AnnualSavingSpotUSD  unit.NanoUSD `json:"annualSavingSpotUSD"`
	// Share of the baseline that is saved, from 0 to 1.
	Share float64 `json:"share"`
	Text  string  `json:"text"`
	// FirstStep can be undone, and is due on By.
	FirstStep string    `json:"firstStep"`
	By        time.Time `json:"by"`
}

// VerdictCode says which sentence it is.
type VerdictCode string

// The verdicts.
const (
	VerdictSaves      VerdictCode = "saves"      // worth it
	VerdictLittle     VerdictCode = "little"     // less than 5 %: not worth a change
	VerdictNone       VerdictCode = "none"       // the baseline is cheaper or equal
	VerdictMore       VerdictCode = "more"       // the baseline leaves pods pending, Tatami does not
	VerdictIncomplete VerdictCode = "incomplete" // pods stay pending: fix that first
	VerdictEmpty      VerdictCode = "empty"      // there is nothing to run
	VerdictSingle     VerdictCode = "single"     // nothing to compare with
)

// Recommendation is a change that was solved for, best first.
type Recommendation struct {
	ID       string `json:"id"`
	Code     string `json:"code"`
	Target   string `json:"target"`
	Current  string `json:"current"`
	Proposed string `json:"proposed"`
	// MonthlyDeltaUSD is negative when it saves; 0 when it is not about money.
	MonthlyDeltaUSD unit.NanoUSD `json:"monthlyDeltaUSD"`
	// Confidence and Effort are low, medium or high.
	Confidence string `json:"confidence"`
	Effort     string `json:"effort"`
	Evidence   string `json:"evidence"`
}

// Finding is about security.
type Finding struct {
	RuleID   string `json:"ruleId"`
	Level    string `json:"level"`
	Severity string `json:"severity"`
	Target   string `json:"target"`
	Fix      string `json:"fix"`
}

// NotCovered is something that has no influence on the figures.
type NotCovered struct {
	// Code is set when it is missing from every plan, so that it can be translated.
	Code   string       `json:"code,omitempty"`
	Object workload.Ref `json:"object,omitzero"`
	Field  string       `json:"field,omitempty"`
	Why    string       `json:"why"`
}

// leftOut ends the reason of a whole workload that could not be planned.
const leftOut = ": it is left out"

// LeftOut says whether pods are missing from the plan, because what they ask
// for cannot be. An autoscaler that is left out takes no pods with it.
func (n NotCovered) LeftOut() bool {
	return n.Object.Kind != "HorizontalPodAutoscaler" && strings.HasSuffix(n.Why, leftOut)
}

// Statement is a sentence with a code by which it can be translated; Args are
// what the sentence names.
type Statement struct {
	Code string   `json:"code"`
	Text string   `json:"text"`
	Args []string `json:"args,omitempty"`
}
