package organisation

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"time"

	"go.yaml.in/yaml/v3"
)

//go:embed config.yaml
var embedded []byte

// Config says what the organisation is like. Shares lie in 0 to 1.
type Config struct {
	// Version grows with every change of a value in the committed file.
	Version int    `yaml:"version"`
	Tenant  string `yaml:"tenant"`
	// People is the number of persons, 200 to 2,000.
	People        int `yaml:"people"`
	PeoplePerTeam int `yaml:"people_per_team"`
	// Weeks is the length of the period, 26 to 52 weeks from Start, a Monday.
	Weeks         int    `yaml:"weeks"`
	Start         string `yaml:"start"`
	AnnouncedWeek int    `yaml:"announced_week"`
	// RequestsPerWeek of a median person: fewer are cheaper and coarser.
	RequestsPerWeek float64         `yaml:"requests_per_week"`
	Roles           []RoleConfig    `yaml:"roles"`
	Tokens          TokenConfig     `yaml:"tokens"`
	Outcomes        OutcomeConfig   `yaml:"outcomes"`
	Tools           ToolsConfig     `yaml:"tools"`
	Models          ModelConfig     `yaml:"models"`
	Habits          HabitConfig     `yaml:"habits"`
	LookAlikes      LookAlikeConfig `yaml:"look_alikes"`
	Target          TargetConfig    `yaml:"target"`
	Gamers          GamerConfig     `yaml:"gamers"`
	// Runaways is the number of runaway agents in the period.
	Runaways int `yaml:"runaways"`
}

// RoleConfig is one kind of work.
type RoleConfig struct {
	Name  string  `yaml:"name"`
	Share float64 `yaml:"share"`
	// Tool is code or chat.
	Tool string `yaml:"tool"`
	// OutcomesPerWeek is the mean over people at the median of tokens.
	OutcomesPerWeek float64 `yaml:"outcomes_per_week"`
	// LnTokens shifts the role's ln weekly tokens; the shifts are centred.
	LnTokens float64 `yaml:"ln_tokens"`
}

// TokenConfig is how weekly tokens vary, in nats.
type TokenConfig struct {
	Median         float64 `yaml:"median"`
	BetweenSD      float64 `yaml:"between_sd"`
	Autoregression float64 `yaml:"autoregression"`
	// WithinSD bounds the standard deviation of a person's own weeks.
	WithinSD [2]float64 `yaml:"within_sd"`
	// WithinSkew is the power of a uniform number that leads from one bound to
	// the other: 1 is uniform, more leaves fewer people unsteady.
	WithinSkew float64 `yaml:"within_skew"`
}

// OutcomeConfig is what useful tokens buy.
type OutcomeConfig struct {
	Elasticity  float64 `yaml:"elasticity"`
	GammaShape  int     `yaml:"gamma_shape"`
	TeamSD      float64 `yaml:"team_sd"`
	MeanLagDays float64 `yaml:"mean_lag_days"`
	Reverted    float64 `yaml:"reverted"`
}

// ToolsConfig are the two tools that people use.
type ToolsConfig struct {
	Code ToolConfig `yaml:"code"`
	Chat ToolConfig `yaml:"chat"`
}

// ToolConfig is how a tool's requests are made: medians in tokens, spreads in
// nats.
type ToolConfig struct {
	Service     string  `yaml:"service"`
	Context     float64 `yaml:"context"`
	ContextSD   float64 `yaml:"context_sd"`
	Output      float64 `yaml:"output"`
	OutputSD    float64 `yaml:"output_sd"`
	Correlation float64 `yaml:"correlation"`
	// Sinks is the share of sessions with a side effect.
	Sinks float64 `yaml:"sinks"`
}

// ModelConfig names models of the embedded price book.
type ModelConfig struct {
	Large      string      `yaml:"large"`
	Frontier   string      `yaml:"frontier"`
	Small      string      `yaml:"small"`
	Successors []Successor `yaml:"successors"`
}

// Successor is a model that teams change to.
type Successor struct {
	Model     string `yaml:"model"`
	Available string `yaml:"available"`
}

// HabitConfig is what everybody does.
type HabitConfig struct {
	Derived  float64   `yaml:"derived"`
	Repeated float64   `yaml:"repeated"`
	Failed   float64   `yaml:"failed"`
	Lost     float64   `yaml:"lost"`
	Holidays []Holiday `yaml:"holidays"`
}

// Holiday is a week, named by its Monday, in which only a share of the work is left.
type Holiday struct {
	Week string  `yaml:"week"`
	Left float64 `yaml:"left"`
}

// LookAlikeConfig are shares of people and teams.
type LookAlikeConfig struct {
	HeavyUser      float64             `yaml:"heavy_user"`
	AgentOperator  float64             `yaml:"agent_operator"`
	LongContext    float64             `yaml:"long_context"`
	Codemod        float64             `yaml:"codemod"`
	OnCall         float64             `yaml:"on_call"`
	RetryStorm     float64             `yaml:"retry_storm"`
	Vacation       float64             `yaml:"vacation"`
	PartTime       float64             `yaml:"part_time"`
	Travel         float64             `yaml:"travel"`
	NewHire        float64             `yaml:"new_hire"`
	TeamMove       float64             `yaml:"team_move"`
	Training       float64             `yaml:"training"`
	ReportCron     float64             `yaml:"report_cron"`
	Teams          TeamLookAlikeConfig `yaml:"teams"`
	CacheLossWeeks int                 `yaml:"cache_loss_weeks"`
	Declared       float64             `yaml:"declared"`
}

// TeamLookAlikeConfig are shares of teams.
type TeamLookAlikeConfig struct {
	Launch        float64 `yaml:"launch"`
	ModelChange   float64 `yaml:"model_change"`
	Monorepo      float64 `yaml:"monorepo"`
	QuarterClose  float64 `yaml:"quarter_close"`
	Hackathon     float64 `yaml:"hackathon"`
	ReportService float64 `yaml:"report_service"`
	BuildService  float64 `yaml:"build_service"`
}

// TargetConfig is what management announces.
type TargetConfig struct {
	WeeklyTokens   float64 `yaml:"weekly_tokens"`
	WeeklyAdoption float64 `yaml:"weekly_adoption"`
}

// GamerConfig is who games and how.
type GamerConfig struct {
	Prevalence float64 `yaml:"prevalence"`
	Adaptive   float64 `yaml:"adaptive"`
	// Intensity bounds the factor on a gamer's tokens.
	Intensity [2]float64    `yaml:"intensity"`
	Mixed     float64       `yaml:"mixed"`
	Monthly   float64       `yaml:"monthly"`
	Stop      float64       `yaml:"stop"`
	Tactics   TacticWeights `yaml:"tactics"`
}

// TacticWeights are how often naive gamers choose each tactic.
type TacticWeights struct {
	ContextBloat    float64 `yaml:"context_bloat"`
	Duplicates      float64 `yaml:"duplicates"`
	VaguePrompts    float64 `yaml:"vague_prompts"`
	RoundTheClock   float64 `yaml:"round_the_clock"`
	Timer           float64 `yaml:"timer"`
	Busywork        float64 `yaml:"busywork"`
	TopUp           float64 `yaml:"top_up"`
	EndSurge        float64 `yaml:"end_surge"`
	CheapLoop       float64 `yaml:"cheap_loop"`
	CacheBusting    float64 `yaml:"cache_busting"`
	MinimumAdoption float64 `yaml:"minimum_adoption"`
}

// Default is the committed configuration.
func Default() Config {
	var c Config
	dec := yaml.NewDecoder(bytes.NewReader(embedded))
	dec.KnownFields(true)
	if err := dec.Decode(&c); err != nil {
		panic("organisation: embedded configuration: " + err.Error()) // a test decodes it
	}
	return c
}

// Hash names the values of c, whatever the file's comments: 16 hex digits.
func (c Config) Hash() string {
	out, err := yaml.Marshal(c)
	if err != nil {
		panic("organisation: encode configuration: " + err.Error()) // plain values
	}
	sum := sha256.Sum256(out)
	return hex.EncodeToString(sum[:8])
}

// Validate reports every value that is out of range, joined.
func (c Config) Validate() error {
	var errs []error
	bound := func(key string, value, low, high float64) {
		if !(value >= low && value <= high) {
			errs = append(errs, fmt.Errorf("%s: %v: want %v to %v", key, value, low, high))
		}
	}
	bound("people", float64(c.People), 200, 2000)
	bound("people_per_team", float64(c.PeoplePerTeam), minTeam, maxTeam-1)
	bound("weeks", float64(c.Weeks), 26, 52)
	bound("announced_week", float64(c.AnnouncedWeek), 18, float64(c.Weeks-6))
	bound("requests_per_week", c.RequestsPerWeek, 10, 1000)
	bound("runaways", float64(c.Runaways), 0, float64(c.People))
	bound("roles", float64(len(c.Roles)), 1, 100)
	var shares float64
	for i, r := range c.Roles {
		shares += r.Share
		bound(fmt.Sprintf("roles[%d].outcomes_per_week", i), r.OutcomesPerWeek, 0, 100)
		if r.Tool != toolCode && r.Tool != toolChat {
			errs = append(errs, fmt.Errorf("roles[%d].tool: %q: want code or chat", i, r.Tool))
		}
	}
	bound("roles: sum of shares", math.Round(shares*1e9)/1e9, 1, 1)
	bound("gamers.prevalence", c.Gamers.Prevalence, 0, .6)
	bound("gamers.adaptive", c.Gamers.Adaptive, 0, 1)
	bound("gamers.intensity[0]", c.Gamers.Intensity[0], 1, 20)
	bound("gamers.intensity[1]", c.Gamers.Intensity[1], c.Gamers.Intensity[0], 20)
	if start, err := day(c.Start); err != nil || start.Weekday() != time.Monday {
		errs = append(errs, fmt.Errorf("start: %q: want a Monday, YYYY-MM-DD", c.Start))
	}
	for i, h := range c.Habits.Holidays {
		if _, err := day(h.Week); err != nil {
			errs = append(errs, fmt.Errorf("habits.holidays[%d].week: %q: want YYYY-MM-DD", i, h.Week))
		}
	}
	for i, s := range c.Models.Successors {
		if _, err := day(s.Available); err != nil {
			errs = append(errs, fmt.Errorf("models.successors[%d].available: %q: want YYYY-MM-DD", i, s.Available))
		}
	}
	if len(c.Models.Successors) == 0 {
		errs = append(errs, errors.New("models.successors: want at least one"))
	}
	return errors.Join(errs...)
}

func day(s string) (time.Time, error) { return time.Parse(time.DateOnly, s) }
