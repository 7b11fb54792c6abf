from generate_test_data import COLUMNS, deliveries


def test_the_same_seed_gives_the_same_deliveries():
    assert deliveries(200, seed=5) == deliveries(200, seed=5)
    assert deliveries(200, seed=5) != deliveries(200, seed=6)


def test_deliveries_come_in_the_order_they_were_placed():
    made = deliveries(300, seed=0)
    assert len(made) == 300
    assert [row["ordered_at"] for row in made] == sorted(row["ordered_at"] for row in made)
    assert len({row["order_id"] for row in made}) == 300
    assert all(tuple(row) == COLUMNS for row in made)
