package memory

import (
	"context"
	"slices"

	"github.com/tatami-platform/tatami/examples/shop/internal/domain"
)

// Products implements app.Catalog with a fixed range, sorted by SKU.
type Products struct {
	all []domain.Product
}

// NewProducts returns the shop's range: things for a quiet room.
func NewProducts() *Products {
	return &Products{all: []domain.Product{
		{SKU: "bamboo-whisk", Name: "Bamboo whisk", Icon: "🎋", Price: 14*domain.Dollar + 50*domain.Cent},
		{SKU: "bento-box", Name: "Cedar bento box", Icon: "🍱", Price: 32 * domain.Dollar},
		{SKU: "floor-cushion", Name: "Floor cushion", Icon: "🟦", Price: 45 * domain.Dollar},
		{SKU: "incense", Name: "Sandalwood incense", Icon: "🌿", Price: 7*domain.Dollar + 20*domain.Cent},
		{SKU: "indigo-towel", Name: "Indigo hand towel", Icon: "🧵", Price: 9*domain.Dollar + 80*domain.Cent},
		{SKU: "iron-kettle", Name: "Cast-iron kettle", Icon: "🫖", Price: 89 * domain.Dollar},
		{SKU: "matcha", Name: "Ceremonial matcha, 30 g", Icon: "🍵", Price: 24*domain.Dollar + 90*domain.Cent},
		{SKU: "paper-lantern", Name: "Paper lantern", Icon: "🏮", Price: 18*domain.Dollar + 75*domain.Cent},
		{SKU: "rice-bowl", Name: "Rice bowl", Icon: "🍚", Price: 12 * domain.Dollar},
		{SKU: "tatami-mat", Name: "Tatami mat, 90 × 180 cm", Icon: "🟩", Price: 129 * domain.Dollar},
		{SKU: "tea-cup", Name: "Stoneware tea cup", Icon: "🍶", Price: 11*domain.Dollar + 40*domain.Cent},
		{SKU: "wind-chime", Name: "Glass wind chime", Icon: "🎐", Price: 16*domain.Dollar + 30*domain.Cent},
	}}
}

// Products returns the products named, or all. Unknown names are left out.
func (p *Products) Products(_ context.Context, skus ...domain.SKU) ([]domain.Product, error) {
	if len(skus) == 0 {
		return slices.Clone(p.all), nil
	}
	var found []domain.Product
	for _, product := range p.all {
		if slices.Contains(skus, product.SKU) {
			found = append(found, product)
		}
	}
	return found, nil
}
