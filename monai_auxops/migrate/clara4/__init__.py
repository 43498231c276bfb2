"""Clara Train 4.0, 4.1 and early access: MMARs that name MONAI's classes of their time, and bundles as old as those."""
