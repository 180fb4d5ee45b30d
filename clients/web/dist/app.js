// The page's program has not been built yet.
