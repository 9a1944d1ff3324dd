import cProfile, pstats, time
def test_x(place):
    place.file("c.csv",("north","2026-03-03",4.0),("west","2026-03-03",4.0))
    for a in ("bronze.readings","silver.readings","gold.daily","gold.totals"):
        p=cProfile.Profile(); p.enable(); o=place.run(a); p.disable()
        print(a,o.seconds)
        s=pstats.Stats(p)
        rows=[(v[3],k) for k,v in s.stats.items() if ("/work/main/lake/" in k[0] or "pyspark/sql" in k[0] or "great_exp" in k[0])]
        for t,k in sorted(rows,reverse=True)[:28]: print("   %.2f"%t,k[0][-50:],k[2],s.stats[k][0])
