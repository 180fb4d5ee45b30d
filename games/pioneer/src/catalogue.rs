//! The tables of balance: items, recipes, buildings. Numbers to play with; nothing else depends on their values.

use crate::schema::{Building, BuildingInfo, Item, ItemInfo, RecipeInfo, Stack};

/// Slots of an inventory.
pub const SLOTS_MAX: u32 = 12;
/// Most times a recipe is made in one command.
pub const CRAFT_COUNT_MAX: u32 = 20;
/// Colours of a coat.
pub const COLOURS: u32 = 12;

pub(crate) type Amounts = &'static [(Item, u32)];

/// A recipe: what it takes and gives, each time.
pub(crate) struct Recipe {
    pub(crate) name: &'static str,
    pub(crate) takes: Amounts,
    pub(crate) gives: Amounts,
}

/// A sort of building. Width and depth are even multiples of 10 mm, so that its corners are whole motion units.
pub(crate) struct Plan {
    pub(crate) what: Building,
    pub(crate) name: &'static str,
    pub(crate) width_mm: i32,
    pub(crate) depth_mm: i32,
    pub(crate) costs: Amounts,
    pub(crate) returns: Amounts,
}

/// The recipes; number 1 is the first.
const RECIPES: [Recipe; 5] = [
    Recipe { name: "planks", takes: &[(Item::Wood, 2)], gives: &[(Item::Plank, 2)] },
    Recipe { name: "rope", takes: &[(Item::Fibre, 3)], gives: &[(Item::Rope, 1)] },
    Recipe {
        name: "axe",
        takes: &[(Item::Wood, 1), (Item::Stone, 2), (Item::Rope, 1)],
        gives: &[(Item::Axe, 1)],
    },
    Recipe {
        name: "pickaxe",
        takes: &[(Item::Wood, 2), (Item::Stone, 3), (Item::Rope, 1)],
        gives: &[(Item::Pickaxe, 1)],
    },
    Recipe { name: "dye", takes: &[(Item::Berry, 4)], gives: &[(Item::Dye, 1)] },
];

const PLANS: [Plan; 4] = [
    Plan {
        what: Building::Campfire,
        name: "campfire",
        width_mm: 1_400,
        depth_mm: 1_400,
        costs: &[(Item::Wood, 3), (Item::Stone, 3)],
        returns: &[(Item::Wood, 1), (Item::Stone, 2)],
    },
    // Shorter than the 3 m between fences, so that two can meet at a corner.
    Plan {
        what: Building::Fence,
        name: "fence",
        width_mm: 2_600,
        depth_mm: 300,
        costs: &[(Item::Plank, 2)],
        returns: &[(Item::Plank, 1)],
    },
    Plan {
        what: Building::Hut,
        name: "hut",
        width_mm: 6_000,
        depth_mm: 4_800,
        costs: &[(Item::Plank, 10), (Item::Stone, 6), (Item::Rope, 4)],
        returns: &[(Item::Plank, 5), (Item::Stone, 3), (Item::Rope, 2)],
    },
    Plan {
        what: Building::Stall,
        name: "market stall",
        width_mm: 2_400,
        depth_mm: 1_400,
        costs: &[(Item::Plank, 4)],
        returns: &[(Item::Plank, 2)],
    },
];

/// The recipe with number `recipe`.
pub(crate) fn recipe(recipe: u32) -> Option<&'static Recipe> {
    RECIPES.get(usize::try_from(recipe).ok()?.checked_sub(1)?)
}

/// What a recipe takes, each time. In simulated worlds tools cost little: otherwise hardly anybody would come to have one.
pub(crate) fn takes(made: &Recipe, simulated: bool) -> Amounts {
    let is_tool = made.gives.iter().any(|(item, _)| is_unique(*item));
    if simulated && is_tool { &[(Item::Wood, 1)] } else { made.takes }
}

/// How `what` is built.
pub(crate) fn plan(what: Building) -> Option<&'static Plan> {
    PLANS.iter().find(|plan| plan.what == what)
}

/// Most of `item` in one slot.
pub(crate) fn stack_max(item: Item) -> u32 {
    match item {
        Item::Axe | Item::Pickaxe => 1,
        Item::Rope | Item::Dye => 10,
        _ => 20,
    }
}

/// Whether each one of `item` is a thing of its own, with an id.
pub(crate) fn is_unique(item: Item) -> bool {
    matches!(item, Item::Axe | Item::Pickaxe)
}

/// `amounts`, `count` times.
pub(crate) fn stacks(amounts: Amounts, count: u32) -> Vec<Stack> {
    amounts
        .iter()
        .map(|(item, each)| Stack { item: (*item).into(), count: each * count, ..Stack::default() })
        .collect()
}

/// The items, for clients.
pub(crate) fn item_infos() -> Vec<ItemInfo> {
    let names = [
        (Item::Wood, "wood"),
        (Item::Stone, "stone"),
        (Item::Berry, "berry"),
        (Item::Fibre, "fibre"),
        (Item::Plank, "plank"),
        (Item::Rope, "rope"),
        (Item::Axe, "axe"),
        (Item::Pickaxe, "pickaxe"),
        (Item::Dye, "dye"),
    ];
    names
        .map(|(item, name)| ItemInfo {
            item: item.into(),
            name: name.into(),
            stack_max: stack_max(item),
            unique: is_unique(item),
        })
        .into()
}

/// The recipes, for clients.
pub(crate) fn recipe_infos() -> Vec<RecipeInfo> {
    (1..)
        .zip(&RECIPES)
        .map(|(number, r)| RecipeInfo {
            recipe: number,
            name: r.name.into(),
            takes: stacks(r.takes, 1),
            gives: stacks(r.gives, 1),
        })
        .collect()
}

/// The buildings, for clients.
pub(crate) fn building_infos() -> Vec<BuildingInfo> {
    let info = |plan: &Plan| BuildingInfo {
        building: plan.what.into(),
        name: plan.name.into(),
        width_mm: plan.width_mm as u32,
        depth_mm: plan.depth_mm as u32,
        costs: stacks(plan.costs, 1),
        returns: stacks(plan.returns, 1),
    };
    PLANS.iter().map(info).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_gains_by_building_and_demolishing() {
        for plan in &PLANS {
            for (item, back) in plan.returns {
                assert!(plan.costs.iter().any(|(i, cost)| i == item && cost >= back), "{}", plan.name);
            }
            assert_eq!((plan.width_mm % 20, plan.depth_mm % 20), (0, 0), "{}", plan.name);
        }
    }

    #[test]
    fn numbers_of_recipes_start_at_one() {
        assert!(recipe(0).is_none());
        assert_eq!(recipe(1).expect("the first").name, "planks");
        assert!(recipe(RECIPES.len() as u32 + 1).is_none());
        assert!(recipe(u32::MAX).is_none());
    }
}
